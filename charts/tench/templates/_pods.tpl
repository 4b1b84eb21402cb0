{{/* Pods: one template for head, workers and decoders. Called with (dict "root" $ "group" .Values.head "role" "head"
     "gpus" 0). */}}

{{- define "tench.pod" -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "tench.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
    {{- with include "tench.pod.labels" .root | fromYaml }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := dict -}}
  {{- if eq .role "head" }}
  {{- $annotations = dict "cluster-autoscaler.kubernetes.io/safe-to-evict" "false" "karpenter.sh/do-not-disrupt" "true" }}
  {{- end }}
  {{- with .group.pricePerHour }}
  {{- $_ := set $annotations "tench/price-per-hour" (toString .) }}
  {{- end }}
  {{- with merge (deepCopy ($values.podAnnotations | default dict)) $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- /* KubeRay's shell does not hear the signal: a pod would only hold its GPUs longer. What is committed stays. */}}
  terminationGracePeriodSeconds: 5
  {{- include "tench.pod.identity" .root | nindent 2 }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "runtimeClassName" }}
  {{- with index $.group $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: ray-{{ .role }}
      {{- include "tench.container" .root | nindent 6 }}
      env:
        {{- include "tench.env" .root | nindent 8 }}
      {{- with $values.storage.secret }}
      envFrom:
        - secretRef:
            name: {{ . | quote }}
      {{- end }}
      resources:
        {{- include "tench.resources" . | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        - { name: shared-memory, mountPath: /dev/shm }
        {{- if and (eq .role "head") (eq $values.mode "run") }}
        - { name: job, mountPath: /etc/tench, readOnly: true }
        {{- end }}
        {{- if $values.weights.image }}
        - { name: weights, mountPath: {{ $values.weights.mountPath | quote }}, readOnly: true }
        {{- end }}
        {{- with $values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: {{ include "tench.size" .group.disk | quote }} }
    - name: shared-memory
      emptyDir: { medium: Memory, sizeLimit: {{ include "tench.size" .group.sharedMemory | quote }} }
    {{- if and (eq .role "head") (eq $values.mode "run") }}
    - name: job
      configMap: { name: {{ include "tench.configmap" .root }} }
    {{- end }}
    {{- with $values.weights.image }}
    - name: weights
      image: { reference: {{ . | quote }}, pullPolicy: IfNotPresent }
    {{- end }}
    {{- with $values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The user's, and the one without which Azure's workload identity leaves a pod alone. */}}
{{- define "tench.pod.labels" -}}
{{- $labels := deepCopy (.Values.labels | default dict) -}}
{{- range $key, $_ := .Values.serviceAccount.annotations }}
{{- if hasPrefix "azure.workload.identity/" $key }}{{ $_ := set $labels "azure.workload.identity/use" "true" }}{{ end }}
{{- end }}
{{- toYaml $labels -}}
{{- end -}}

{{/* Who the pod is: what the restricted Pod Security Standard asks of it, and no token of the cluster's own. */}}
{{- define "tench.pod.identity" -}}
serviceAccountName: {{ include "tench.serviceAccount" . | quote }}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/* The last lines of one that failed are kept in the pod's status: its log may be gone when someone asks. */}}
{{- define "tench.container" -}}
image: {{ include "tench.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  capabilities: { drop: [ALL] }
  readOnlyRootFilesystem: {{ .Values.readOnlyRootFilesystem }}
{{- end -}}

{{/* torch is told its threads by the job (compute.cpus_per_replica); whatever else asks OpenMP gets one. The user's
     variables replace these: the API server refuses a name that is there twice. */}}
{{- define "tench.env" -}}
{{- $given := .Values.env | default list -}}
{{- $image := include "tench.image" . -}}
{{- $own := dict "HOME" "/tmp/home" "OMP_NUM_THREADS" "1" "RAY_USAGE_STATS_ENABLED" "0" "TENCH_IMAGE" $image -}}
{{- with .Values.storage.endpoint }}
{{- $_ := set $own "AWS_ENDPOINT_URL" . }}
{{- /* Else boto adds checksums that AWS alone understands. */}}
{{- range $key := list "AWS_REQUEST_CHECKSUM_CALCULATION" "AWS_RESPONSE_CHECKSUM_VALIDATION" }}
{{- $_ := set $own $key "when_required" }}
{{- end }}
{{- end }}
{{- with .Values.storage.region }}
{{- $_ := set $own "AWS_REGION" . }}
{{- $_ := set $own "AWS_DEFAULT_REGION" . }}
{{- end }}
{{- if .Values.storage.requesterPays }}{{ $_ := set $own "AWS_REQUEST_PAYER" "requester" }}{{ end -}}
{{- range $given }}{{ $_ := unset $own .name }}{{ end -}}
{{- $env := list -}}
{{- range $name, $value := $own }}{{ $env = append $env (dict "name" $name "value" $value) }}{{ end -}}
{{- toYaml (concat $env $given) -}}
{{- end -}}

{{/* Memory is a request and a limit, so that a pod is placed where all of it is; what Ray is told of is requested. */}}
{{- define "tench.resources" -}}
{{- $memory := include "tench.size" .group.memory -}}
{{- $requests := dict "cpu" (.group.cpus | toString) "memory" $memory "ephemeral-storage" (include "tench.size" .group.disk) -}}
{{- $limits := dict "memory" $memory -}}
{{- if .gpus }}
{{- $_ := set $requests .root.Values.workers.gpuResource (.gpus | toString) }}
{{- $_ := set $limits .root.Values.workers.gpuResource (.gpus | toString) }}
{{- end }}
{{- $resources := mergeOverwrite (dict "requests" $requests "limits" $limits) (deepCopy (.group.resources | default dict)) -}}
{{- /* A number of a values file is a float, and a large one would be written 6.8e+10. */}}
{{- range $kind := $resources }}
{{- range $name, $amount := $kind }}
{{- $_ := set $kind $name (ternary $amount (int64 $amount | toString) (kindIs "string" $amount)) }}
{{- end }}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
