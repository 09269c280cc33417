{{/* Names and labels of a part: (dict "root" $ "part" "gateway"). */}}
{{- define "nox.name" -}}{{ printf "%s-%s" .root.Release.Name .part | trunc 63 | trimSuffix "-" }}{{- end }}

{{- define "nox.selector" -}}
app.kubernetes.io/name: nox
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "nox.labels" -}}
{{ include "nox.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "nox.secret" -}}
valueFrom:
  secretKeyRef:
    name: {{ .root.Values.secret }}
    key: {{ .key }}
{{- end }}

{{/* What a pod of a part is: (dict "root" $ "part" … "env" (list of name and value) "secrets" (dict of name and key)
"mounts" (dict of place and volume) "volumes" (list)). */}}
{{- define "nox.pod" -}}
{{- $values := index .root.Values .part -}}
metadata:
  labels: {{- include "nox.labels" . | nindent 4 }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "9100"
spec:
  serviceAccountName: {{ .root.Release.Name }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | default 30 }}
  {{- with .root.Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: {{ ternary "Unconfined" "RuntimeDefault" (and (eq .part "executor") .root.Values.executor.isolated) }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "nox.selector" . | nindent 10 }}
  {{- with $values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .part }}
      image: "{{ ternary .root.Values.image.executor .root.Values.image.repository (eq .part "executor") }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      command: [nox-{{ .part }}]
      env:
        - {name: NOX_ADMIN_ADDR, value: "0.0.0.0:9100"}
        - {name: NOX_LOG_FORMAT, value: json}
        - {name: NOX_NATS_MONITOR_URL, value: {{ .root.Values.nats.monitorUrl | quote }}}
        - {name: NOX_SYNC, value: {{ .root.Values.nats.sync }}}
        - name: NOX_NATS_URL
          {{- include "nox.secret" (dict "root" .root "key" (printf "nats-url-%s" .part)) | nindent 10 }}
        {{- range $name, $key := .secrets }}
        - name: {{ $name }}
          {{- include "nox.secret" (dict "root" $.root "key" $key) | nindent 10 }}
        {{- end }}
        {{- range $name, $value := .env }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- range $name, $value := $values.env }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- if eq .part "executor" }}
        - name: NOX_WORKER_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- end }}
      ports:
        - {name: admin, containerPort: 9100}
        {{- if eq .part "gateway" }}
        - {name: http, containerPort: 8081}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      resources: {{- toYaml $values.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- range .mounts }}
        - {{ toYaml . | nindent 10 | trim }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- range .volumes }}
    - name: {{ .name }}
      persistentVolumeClaim: {claimName: {{ .claim }}}
    {{- end }}
{{- end }}

{{/* Where files are, the volume that has them, and how a part mounts it: (dict "root" $ "of" "archive" "readOnly" true). */}}
{{- define "nox.place" -}}{{ (index .root.Values .of).url | default (printf "/%s" .of) }}{{- end }}
{{- define "nox.claim" -}}{{ (index .root.Values .of).claim | default (printf "%s-%s" .root.Release.Name .of) }}{{- end }}
{{- define "nox.volumes" -}}
{{- $volumes := list }}{{- $root := .root }}
{{- range .of }}{{- if not (index $root.Values .).url }}
{{- $volumes = append $volumes (dict "name" . "claim" (include "nox.claim" (dict "root" $root "of" .))) }}
{{- end }}{{- end }}
{{- toJson $volumes }}
{{- end }}
{{- define "nox.mounts" -}}
{{- $mounts := list }}{{- $root := .root }}
{{- range $of, $readOnly := .of }}{{- if not (index $root.Values $of).url }}
{{- $mounts = append $mounts (dict "name" $of "mountPath" (printf "/%s" $of) "readOnly" $readOnly) }}
{{- end }}{{- end }}
{{- toJson $mounts }}
{{- end }}
