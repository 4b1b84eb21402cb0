{{/* The Ray cluster: of a run, or one that stays. */}}

{{- define "tench.cluster.spec" -}}
rayVersion: {{ .Values.image.rayVersion | quote }}
{{- if ne .Values.kuberay.version "1.4" }}
authOptions:
  mode: {{ .Values.auth.mode }}
  {{- with .Values.auth.secret }}
  secretName: {{ . | quote }}
  {{- end }}
{{- end }}
{{- if and (eq .Values.mode "cluster") (not (has .Values.kuberay.version (list "1.4" "1.5"))) }}
{{- /* An upgrade replaces all pods; without it, one that dies later would come back as another version than the rest. */}}
upgradeStrategy:
  type: Recreate
{{- end }}
headGroupSpec:
  serviceType: ClusterIP
  rayStartParams:
    dashboard-host: 0.0.0.0
    # No work beside the driver.
    num-cpus: "0"
    num-gpus: "0"
    object-store-memory: {{ include "tench.objectStoreBytes" .Values.head.sharedMemory | quote }}
  template:
    {{- include "tench.pod" (dict "root" . "group" .Values.head "role" "head" "gpus" 0) | nindent 4 }}
workerGroupSpecs:
  {{- $pods := include "tench.workerPods" . | int }}
  {{- $gpus := include "tench.podGpus" . | int }}
  - {{ include "tench.workerGroup" (dict "root" . "group" .Values.workers "role" "worker" "gpus" $gpus "pods" $pods) | nindent 4 | trim }}
  {{- with .Values.decoders }}
  {{- if .replicas }}
  - {{ include "tench.workerGroup" (dict "root" $ "group" . "role" "decoder" "gpus" 0 "pods" (int .replicas)) | nindent 4 | trim }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "tench.workerGroup" -}}
groupName: {{ .role }}s
replicas: {{ .pods }}
minReplicas: {{ .pods }}
maxReplicas: {{ .pods }}
{{- /* As KubeRay writes it back: a list that the operator has changed is its own, and Helm 4 then refuses an upgrade. */}}
scaleStrategy: {}
rayStartParams:
  num-cpus: {{ .group.cpus | toString | quote }}
  num-gpus: {{ .gpus | toString | quote }}
  object-store-memory: {{ include "tench.objectStoreBytes" .group.sharedMemory | quote }}
template:
  {{- include "tench.pod" . | nindent 2 }}
{{- end -}}
