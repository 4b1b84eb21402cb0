{{/* The RayJob: what KubeRay ignores an edit of, apart from what it does not. */}}

{{/* One command without a shell's metacharacters: KubeRay pastes it into a shell unquoted. */}}
{{- define "tench.rayjob.fixed" -}}
entrypoint: python -m job {{ if .Values.cluster }}env:TENCH_JOB{{ else }}/etc/tench/job.yaml{{ end }} {{ include "tench.runId" . }}{{ if .Values.acceptChangedModel }} --accept-changed-model{{ end }}
submissionMode: {{ .Values.kuberay.submissionMode }}
{{- if .Values.cluster }}
clusterSelector:
  ray.io/cluster: {{ .Values.cluster | quote }}
# The cluster's pods were there before the spec was: nothing can be mounted.
runtimeEnvYAML: {{ dict "env_vars" (dict "TENCH_JOB" (include "tench.job.json" .)) | toJson | quote }}
{{- else }}
shutdownAfterJobFinishes: true
rayClusterSpec:
  {{- include "tench.cluster.spec" . | nindent 2 }}
{{- end }}
{{- if eq .Values.kuberay.submissionMode "K8sJobMode" }}
submitterPodTemplate:
  {{- include "tench.submitter" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Ray expands $VARIABLES in a variable's value; KubeRay's submitter passes it through a shell. */}}
{{- define "tench.job.json" -}}
{{- toJson .Values.job | replace "$" "\\u0024" | replace "`" "\\u0060" -}}
{{- end -}}

{{- define "tench.rayjob.adjustable" -}}
{{- if not .Values.cluster }}
backoffLimit: {{ int .Values.retries }}
ttlSecondsAfterFinished: {{ int .Values.ttlSecondsAfterFinished }}
{{- end }}
{{- with .Values.deadlines.activeSeconds }}
activeDeadlineSeconds: {{ int . }}
{{- end }}
{{- if not (has .Values.kuberay.version (list "1.4" "1.5")) }}
preRunningDeadlineSeconds: {{ int (.Values.deadlines.preRunningSeconds | default 1800) }}
{{- end }}
{{- end -}}

{{/* KubeRay's own submitter pod has no pull secret, no tolerations and no security context. */}}
{{- define "tench.submitter" -}}
metadata:
  labels:
    {{- include "tench.selector" . | nindent 4 }}
    app.kubernetes.io/component: submitter
    {{- with include "tench.pod.labels" . | fromYaml }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: Never
  {{- include "tench.pod.identity" . | nindent 2 }}
  {{- range $key := list "nodeSelector" "tolerations" "affinity" }}
  {{- with index $.Values.head $key }}
  {{ $key }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  containers:
    - name: ray-job-submitter
      {{- include "tench.container" . | nindent 6 }}
      env:
        - { name: HOME, value: /tmp/home }
      resources:
        requests: { cpu: 100m, memory: 512Mi }
        limits: { memory: 512Mi }
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
  volumes:
    - name: tmp
      emptyDir: { sizeLimit: 1Gi }
{{- end -}}
