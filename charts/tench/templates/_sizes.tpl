{{/* Sizes: how many pods, and what each is given. */}}

{{/* GPUs of a replica; "auto" where the spec does not say. */}}
{{- define "tench.gpusPerReplica" -}}
{{- $compute := .Values.job.compute | default dict -}}
{{- if hasKey $compute "gpus_per_replica" }}{{ $compute.gpus_per_replica }}{{ else }}auto{{ end -}}
{{- end -}}

{{/* GPUs of a worker pod: none in a run on CPUs. */}}
{{- define "tench.podGpus" -}}
{{- if and (eq .Values.mode "run") (eq (include "tench.gpusPerReplica" .) "0") }}0{{ else }}{{ int .Values.workers.gpus }}{{ end -}}
{{- end -}}

{{/* CPUs of a worker pod that replicas may have: one is kept for decoding where no decoders are. */}}
{{- define "tench.replicaCpus" -}}
{{- if .Values.decoders.replicas }}{{ int .Values.workers.cpus }}{{ else }}{{ sub (int .Values.workers.cpus) 1 }}{{ end -}}
{{- end -}}

{{- define "tench.cpusPerReplica" -}}
{{- int ((.Values.job.compute | default dict).cpus_per_replica | default 1) -}}
{{- end -}}

{{- define "tench.concurrency" -}}
{{- int ((.Values.job.compute | default dict).concurrency | default 1) -}}
{{- end -}}

{{/* Replicas that one worker pod holds: GPUs decide, else CPUs. */}}
{{- define "tench.replicasPerPod" -}}
{{- $gpus := include "tench.gpusPerReplica" . | float64 -}}
{{- if ge $gpus 1.0 }}{{ div (include "tench.podGpus" . | int) (int $gpus) }}
{{- else if $gpus }}{{ mul (include "tench.podGpus" . | int) (include "tench.replicasPerGpu" $gpus | int) }}
{{- else }}{{ div (include "tench.replicaCpus" . | int) (include "tench.cpusPerReplica" . | int) }}
{{- end -}}
{{- end -}}

{{/* Whole shares of one GPU, by Ray's arithmetic, which has four digits: three of 0.33, and of 0.33334. */}}
{{- define "tench.replicasPerGpu" -}}
{{- divf 1.0 (round . 4) | floor | int -}}
{{- end -}}

{{/* ceil(concurrency ÷ replicas a pod), which is ceil(concurrency × GPUs a replica ÷ GPUs a pod). */}}
{{- define "tench.workerPods" -}}
{{- if eq .Values.mode "cluster" }}{{ int .Values.workers.replicas }}
{{- else }}{{ divf (include "tench.concurrency" . | float64) (include "tench.replicasPerPod" . | float64) | ceil | int }}
{{- end -}}
{{- end -}}

{{/* A Kubernetes quantity as a number: of bytes, of CPUs. */}}
{{- define "tench.number" -}}
{{- $units := dict "m" 0.001 "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $text)) -}}
{{- end -}}

{{- define "tench.bytes" -}}
{{- include "tench.number" . | float64 | int64 -}}
{{- end -}}

{{/* A size without a fraction: KubeRay would write 1.5Gi back as 1536Mi, and Helm 4 refuses to apply what another wrote. */}}
{{- define "tench.size" -}}
{{- $bytes := include "tench.bytes" . | int64 -}}
{{- if not (contains "." .) }}{{ . }}
{{- else if not (mod $bytes 1048576) }}{{ div $bytes 1048576 }}Mi
{{- else }}{{ $bytes }}
{{- end -}}
{{- end -}}

{{/* Ray's object store: a little less than /dev/shm, else Ray puts it on the disk. */}}
{{- define "tench.objectStoreBytes" -}}
{{- mulf (include "tench.bytes" . | float64) 0.95 | int64 -}}
{{- end -}}
