{{/* Guards: values that fit the schema and cannot work together. Each says what, got what, and what to do. */}}

{{- define "tench.guards" -}}
{{- include "tench.guards.kuberay" . -}}
{{- include "tench.guards.memory" . -}}
{{- include "tench.guards.resources" . -}}
{{- include "tench.guards.overlaps" . -}}
{{- include "tench.guards.access" . -}}
{{- include "tench.guards.weights" . -}}
{{- if eq .Values.mode "cluster" }}{{ include "tench.guards.cluster" . }}{{ else }}{{ include "tench.guards.run" . }}{{ end -}}
{{- end -}}

{{- define "tench.guards.kuberay" -}}
{{- $version := .Values.kuberay.version -}}
{{- if and (eq .Values.auth.mode "token") (eq $version "1.4") }}
{{- fail "ERROR: auth.mode is token and KubeRay 1.4 knows none; set auth.mode: disabled, or install KubeRay 1.5.1 or newer and set kuberay.version" }}
{{- end }}
{{- if and (eq .Values.auth.mode "token") (semverCompare "<2.52.0-0" .Values.image.rayVersion) }}
{{- fail (printf "ERROR: auth.mode is token and image.rayVersion is %s; use an image with Ray 2.52 or newer, or set auth.mode: disabled" .Values.image.rayVersion) }}
{{- end }}
{{- if and .Values.auth.secret (has $version (list "1.4" "1.5")) }}
{{- fail (printf "ERROR: auth.secret is %s and KubeRay %s makes its own; leave it out, or install KubeRay 1.6 or newer and set kuberay.version" .Values.auth.secret $version) }}
{{- end }}
{{- if and .Values.deadlines.preRunningSeconds (has $version (list "1.4" "1.5")) }}
{{- fail (printf "ERROR: deadlines.preRunningSeconds is %v and KubeRay %s knows none; set deadlines.activeSeconds instead, or install KubeRay 1.6 or newer and set kuberay.version" .Values.deadlines.preRunningSeconds $version) }}
{{- end }}
{{- end -}}

{{- define "tench.guards.weights" -}}
{{- if and .Values.weights.image (semverCompare "<1.36.0-0" .Capabilities.KubeVersion.Version) }}
{{- fail (printf "ERROR: weights.image is %s and Kubernetes %s does not mount images; use Kubernetes 1.36 or newer (helm template --kube-version), or put the files into a bucket and leave it out" .Values.weights.image .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- end -}}

{{- define "tench.guards.memory" -}}
{{- range $name := list "head" "workers" "decoders" }}
{{- $group := index $.Values $name }}
{{- /* Ray starts with no less than 75 MiB. */}}
{{- if lt (include "tench.objectStoreBytes" $group.sharedMemory | int64) 78643200 }}
{{- fail (printf "ERROR: %s.sharedMemory is %s and Ray needs 79Mi for its objects; make it a third of %s.memory, which is %s" $name $group.sharedMemory $name $group.memory) }}
{{- end }}
{{- if ge (include "tench.bytes" $group.sharedMemory | int64) (include "tench.bytes" $group.memory | int64) }}
{{- fail (printf "ERROR: %s.sharedMemory is %s and counts against %s.memory, which is %s; make it a third of that" $name $group.sharedMemory $name $group.memory) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Within a RayJob nobody checks a pod: one that cannot be made would be waited for. */}}
{{- define "tench.guards.resources" -}}
{{- range $name := list "head" "workers" "decoders" }}
{{- $group := index $.Values $name }}
{{- $gpus := ternary (include "tench.podGpus" $ | int) 0 (eq $name "workers") }}
{{- $resources := include "tench.resources" (dict "root" $ "group" $group "gpus" $gpus) | fromYaml }}
{{- range $resource, $request := $resources.requests }}
{{- $limit := index $resources.limits $resource }}
{{- $more := and $limit (gt (include "tench.number" $request | float64) (include "tench.number" $limit | float64)) }}
{{- if or $more (and (contains "/" $resource) (ne (toString $request) (toString $limit))) }}
{{- fail (printf "ERROR: %s.resources makes a request of %v %s and a limit of %v; set both, the limit no lower and for GPUs the same" $name $request $resource ($limit | default "none")) }}
{{- end }}
{{- end }}
{{- /* Zero would mean no limit. */}}
{{- if lt (include "tench.bytes" $group.disk | int64) 1073741824 }}
{{- fail (printf "ERROR: %s.disk is %s and Ray's logs alone may take 1Gi; set it to that or more" $name $group.disk) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What is there twice, the API server refuses, or KubeRay's service no longer finds the head. */}}
{{- define "tench.guards.overlaps" -}}
{{- range $key, $_ := .Values.labels }}
{{- if regexMatch "^(app.kubernetes.io/(name|instance|component|managed-by|created-by)|helm.sh/chart|kueue.x-k8s.io/(queue-name|priority-class)|ray.io/(cluster|group|identifier|is-ray-node|node-type)|tench/run-id)$" $key }}
{{- fail (printf "ERROR: labels has %s, which the chart or KubeRay sets; leave it out" $key) }}
{{- end }}
{{- end }}
{{- $names := list }}
{{- range .Values.volumes }}
{{- $names = append $names .name }}
{{- if has .name (list "tmp" "shared-memory" "job") }}
{{- fail (printf "ERROR: volumes has %s, a name of the chart's own; choose another" .name) }}
{{- end }}
{{- end }}
{{- range .Values.volumeMounts }}
{{- if has (trimSuffix "/" .mountPath) (list "/tmp" "/dev/shm" "/etc/tench") }}
{{- fail (printf "ERROR: volumeMounts has %s, where the chart mounts its own; choose another path" .mountPath) }}
{{- end }}
{{- if not (has .name $names) }}
{{- fail (printf "ERROR: volumeMounts names %s and volumes has no such volume; add it there" .name) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Who may call, and as whom the pods do. */}}
{{- define "tench.guards.access" -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.operatorNamespace) }}
{{- fail "ERROR: networkPolicy.enabled is true and operatorNamespace is not set; say where the operator is, for nobody else submits the job: kubectl get deployments -A | grep kuberay" }}
{{- end }}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) }}
{{- fail (printf "ERROR: serviceAccount.annotations has %s and create is false; set create: true, or annotate the account that is there and name it" (keys .Values.serviceAccount.annotations | sortAlpha | first)) }}
{{- end }}
{{- range .Values.env }}
{{- if hasPrefix "RAY_AUTH_" .name }}
{{- fail (printf "ERROR: env has %s, which the operator sets; use auth.mode and auth.secret" .name) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tench.guards.cluster" -}}
{{- if .Values.cluster }}
{{- fail (printf "ERROR: mode is cluster and cluster is %s; a cluster runs on no other: leave one of the two out" .Values.cluster) }}
{{- end }}
{{- if not .Values.workers.replicas }}
{{- fail "ERROR: mode is cluster and workers.replicas is not set; say how many worker pods stay" }}
{{- end }}
{{- include "tench.guards.decoders" . -}}
{{- if .Values.job }}
{{- fail "ERROR: mode is cluster and job is set; install the job as a release of its own with cluster: NAME" }}
{{- end }}
{{- end -}}

{{- define "tench.guards.run" -}}
{{- $gpus := include "tench.gpusPerReplica" . -}}
{{- if eq $gpus "auto" }}
{{- fail "ERROR: job.compute.gpus_per_replica is auto, and on a cluster no process sees another's GPUs; set it to 1, or to 0 for workers without" }}
{{- end }}
{{- include "tench.guards.uris" . -}}
{{- /* Where toYaml cannot write a character, it writes nothing at all, and says nothing. */}}
{{- with regexFind "[\\x7f-\\x{9f}\\x{fffe}\\x{ffff}]|\\\\u202[89]" (toJson .Values.job) }}
{{- fail (printf "ERROR: job has the character %s, which YAML loses; rename what has it" (quote . | replace "\\\\" "\\")) }}
{{- end }}
{{- if .Values.workers.replicas }}
{{- fail (printf "ERROR: workers.replicas is %v and a run computes it; set job.compute.concurrency" .Values.workers.replicas) }}
{{- end }}
{{- if .Values.cluster }}
{{- if .Values.queue.name }}
{{- fail (printf "ERROR: queue.name is %s and cluster is %s; Kueue admits a run with a cluster of its own: leave one of the two out" .Values.queue.name .Values.cluster) }}
{{- end }}
{{- else }}
{{- include "tench.guards.decoders" . -}}
{{- include "tench.guards.sizes" . -}}
{{- include "tench.guards.output" . -}}
{{- end }}
{{- end -}}

{{/* Where no pod has a GPU, nothing keeps replicas off a decoder, which has no memory for them. */}}
{{- define "tench.guards.decoders" -}}
{{- if and .Values.decoders.replicas (not (include "tench.podGpus" . | int)) }}
{{- fail (printf "ERROR: decoders.replicas is %v and the workers have no GPUs; leave the decoders out, and raise workers.cpus" .Values.decoders.replicas) }}
{{- end }}
{{- end -}}

{{/* All pods read the plan where the head has written it: the volume of the longest path that leads there is shared. */}}
{{- define "tench.guards.output" -}}
{{- $uri := .Values.job.output.uri -}}
{{- $private := list -}}
{{- range .Values.volumes }}{{ if hasKey . "emptyDir" }}{{ $private = append $private .name }}{{ end }}{{ end -}}
{{- $mount := dict "name" "" "mountPath" "" -}}
{{- range .Values.volumeMounts }}
{{- $path := trimSuffix "/" .mountPath }}
{{- if and (hasPrefix (printf "%s/" $path) (printf "%s/" $uri)) (ge (len $path) (len $mount.mountPath)) }}{{ $mount = dict "name" .name "mountPath" $path }}{{ end }}
{{- end }}
{{- if and (hasPrefix "/" $uri) (or (not $mount.name) (has $mount.name $private)) }}
{{- fail (printf "ERROR: job.output.uri is %s and no volume that all pods share is mounted there; add one to volumes and volumeMounts, or write to a bucket" $uri) }}
{{- end }}
{{- end -}}

{{- define "tench.guards.sizes" -}}
{{- $perReplica := include "tench.gpusPerReplica" . | float64 -}}
{{- $perPod := include "tench.podGpus" . | int -}}
{{- if and $perReplica (lt $perReplica 0.0001) }}
{{- fail (printf "ERROR: job.compute.gpus_per_replica is %v and Ray counts no share below 0.0001; set a share such as 0.5, or 0 for workers without" $perReplica) }}
{{- end }}
{{- if and $perReplica (not $perPod) }}
{{- fail (printf "ERROR: workers.gpus is 0 and job.compute.gpus_per_replica is %v; give the pods GPUs, or set gpus_per_replica: 0" $perReplica) }}
{{- end }}
{{- if $perReplica }}
{{- $left := mod $perPod (max 1 (int $perReplica)) | float64 }}
{{- if lt $perReplica 1.0 }}{{ $left = subf 1.0 (mulf $perReplica (include "tench.replicasPerGpu" $perReplica | float64)) }}{{ end }}
{{- if or (gt $left 0.05) (and (gt $perReplica 1.0) (ne $perReplica (floor $perReplica))) }}
{{- fail (printf "ERROR: workers.gpus is %d and job.compute.gpus_per_replica is %v; a pod's GPUs must be a multiple of a replica's, or a replica's a share that fills a GPU, such as 0.5, 0.33 or 0.25" $perPod $perReplica) }}
{{- end }}
{{- end }}
{{- $cpus := include "tench.cpusPerReplica" . | int }}
{{- $replicas := 1 }}
{{- if $perReplica }}{{ $replicas = min (include "tench.replicasPerPod" . | int) (include "tench.concurrency" . | int) }}{{ end }}
{{- $decoding := sub (int .Values.workers.cpus) (include "tench.replicaCpus" . | int) }}
{{- $needed := add (mul $cpus $replicas) $decoding }}
{{- if lt (int .Values.workers.cpus) (int $needed) }}
{{- fail (printf "ERROR: workers.cpus is %d and a pod's %d replicas of job.compute.cpus_per_replica %d, with %d to decode, need %d; set workers.cpus to that" (int .Values.workers.cpus) $replicas $cpus $decoding $needed) }}
{{- end }}
{{- end -}}

{{/* A relative path means the caller's folder, and a pod has none of the caller's. */}}
{{- define "tench.guards.uris" -}}
{{- $job := .Values.job -}}
{{- $uris := dict "job.source.uri" $job.source.uri "job.source.label_names" $job.source.label_names "job.source.label_file" $job.source.label_file "job.model.labels" $job.model.labels "job.output.uri" $job.output.uri -}}
{{- if regexMatch "\\.(safetensors|pth|pt|ckpt|bin|tar)$" ($job.model.weights | default "") }}{{ $_ := set $uris "job.model.weights" $job.model.weights }}{{ end -}}
{{- range $name, $uri := $uris }}
{{- if and $uri (not (regexMatch "^([A-Za-z][A-Za-z0-9+.-]+:/|/)" $uri)) }}
{{- fail (printf "ERROR: %s is %s, a path of your machine; give s3://…, gs://… or az://…, or the absolute path of a volume" $name $uri) }}
{{- end }}
{{- end }}
{{- end -}}
