{{/* Names. KubeRay takes a RayJob's of 47 characters and a RayCluster's of 53, each a DNS-1035 label; a release may be
     53 long, begin with a digit and hold dots. */}}

{{- define "tench.hash" -}}
{{- . | sha256sum | trunc 8 -}}
{{- end -}}

{{/* The release as a DNS-1035 label, of at most 38 characters: a hash follows. */}}
{{- define "tench.stem" -}}
{{- $label := .Release.Name | lower | replace "." "-" -}}
{{- if regexMatch "^[^a-z]" $label }}{{ $label = printf "r%s" $label }}{{ end -}}
{{- $label | trunc 38 | trimSuffix "-" -}}
{{- end -}}

{{/* Release and what determines the result: a retry, a new attempt and a re-created object go on with the same run. */}}
{{- define "tench.runId" -}}
{{- $rows := (.Values.job.output | default dict).rows_per_file -}}
{{- $determinants := dict "source" .Values.job.source "model" .Values.job.model "rows" $rows -}}
{{- .Values.runId | default (printf "%s-%s" .Release.Name (include "tench.hash" (toJson $determinants))) -}}
{{- end -}}

{{/* Release, run and everything of the RayJob that KubeRay would ignore an edit of, or Kueue refuse: a change makes a
     new RayJob. */}}
{{- define "tench.rayjob" -}}
{{- $queue := printf "%s %s" (.Values.queue.name | default "") (.Values.queue.priorityClass | default "") -}}
{{- $fixed := printf "%s %s %s %s" .Release.Name $queue (toJson .Values.job) (include "tench.rayjob.fixed" .) -}}
{{- printf "%s-%s" (include "tench.stem" .) (include "tench.hash" $fixed) -}}
{{- end -}}

{{- define "tench.configmap" -}}
{{- printf "%s-%s" (include "tench.stem" .) (include "tench.hash" (printf "%s %s" .Release.Name (toJson .Values.job))) -}}
{{- end -}}

{{/* Without a hash where it can be: other releases name it in `cluster`. */}}
{{- define "tench.raycluster" -}}
{{- $stem := include "tench.stem" . -}}
{{- if eq $stem .Release.Name }}{{ $stem }}{{ else }}{{ printf "%s-%s" $stem (include "tench.hash" .Release.Name) }}{{ end -}}
{{- end -}}

{{- define "tench.serviceAccount" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "tench.raycluster" . }}
{{- else }}default
{{- end -}}
{{- end -}}

{{- define "tench.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end -}}
{{- end -}}

{{/* Labels that never change while a release lives: selectors use them. Quoted: a release may be named 123 or true. */}}
{{- define "tench.selector" -}}
app.kubernetes.io/name: tench
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of objects. Pods have none of the chart's version: a new chart alone must not make a new RayJob. */}}
{{- define "tench.labels" -}}
{{ include "tench.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
