{{/* The name that all names begin with. */}}
{{- define "tokenwright.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels by which a component's pods are found: {root, component}. */}}
{{- define "tokenwright.selector" -}}
app.kubernetes.io/name: tokenwright
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object: {root, component}; component may be absent. */}}
{{- define "tokenwright.labels" -}}
app.kubernetes.io/name: tokenwright
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The image, by digest if there is one. */}}
{{- define "tokenwright.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The issuer; there is no default that could be right. */}}
{{- define "tokenwright.issuer" -}}
{{- required "server.issuer must be given: the public base URL of the token server, such as https://tokens.example.com; it is `iss` of every token, and registries are configured with it" .Values.server.issuer -}}
{{- end -}}

{{/* The host of the issuer, without its port. */}}
{{- define "tokenwright.host" -}}
{{- regexReplaceAll ":[0-9]+$" (urlParse (include "tokenwright.issuer" .)).host "" -}}
{{- end -}}

{{/* The Secret with the server's certificate. */}}
{{- define "tokenwright.tlsSecret" -}}
{{- default (printf "%s-server-tls" (include "tokenwright.fullname" .)) .Values.tls.secretName -}}
{{- end -}}

{{/* The name of the server's port: what it speaks. */}}
{{- define "tokenwright.scheme" -}}
{{- if eq .Values.tls.mode "None" }}http{{ else }}https{{ end -}}
{{- end -}}

{{/* Pod level restrictions. */}}
{{- define "tokenwright.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Container level restrictions. */}}
{{- define "tokenwright.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods of a component run: {root, component, values}. */}}
{{- define "tokenwright.scheduling" -}}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
{{- toYaml .values.topologySpreadConstraints | nindent 0 }}
{{- else }}
{{- $selector := include "tokenwright.selector" . }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
{{- end }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The roles of one ServiceAccount and their bindings: {root, component, role}; role is the component if absent. The file says
tokenwright-system and tokenwright-ca; here they become the namespaces of this release.
*/}}
{{- define "tokenwright.rbac" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $account := printf "%s-%s" (include "tokenwright.fullname" $root) $component -}}
{{- $file := default $component .role -}}
{{- $name := printf "%s-%s" (include "tokenwright.fullname" $root) $file -}}
{{- $namespaces := dict "tokenwright-system" $root.Release.Namespace "tokenwright-ca" $root.Values.caNamespace.name -}}
{{- $labels := fromYaml (include "tokenwright.labels" .) -}}
{{- range $text := regexSplit "(?m)^---$" ($root.Files.Get (printf "files/rbac/%s.yaml" $file)) -1 }}
{{- $role := fromYaml $text }}
{{- if $role }}
{{- $metadata := dict "name" $name "labels" $labels }}
{{- with $role.metadata.namespace }}
{{- $_ := set $metadata "namespace" (required (printf "no namespace of this release stands for %s" .) (get $namespaces .)) }}
{{- end }}
{{- $_ := set $role "metadata" $metadata }}
---
{{ toYaml $role }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $role.kind }}Binding
metadata:
  {{- toYaml $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $role.kind }}
  name: {{ $name }}
subjects:
- kind: ServiceAccount
  name: {{ $account }}
  namespace: {{ $root.Release.Namespace }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Destinations and ports of a NetworkPolicy's egress rule: {cidrs, ports}. */}}
{{- define "tokenwright.egress" -}}
- ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .cidrs }}
  to:
  {{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Seconds that a server's pod may take to end: five to leave the endpoints, the shutdown timeout, ten to spare. */}}
{{- define "tokenwright.gracePeriod" -}}
{{- $timeout := .Values.server.shutdownTimeout -}}
{{- $seconds := trimSuffix "s" $timeout | int -}}
{{- if hasSuffix "m" $timeout }}{{ $seconds = mul 60 (trimSuffix "m" $timeout | int) }}{{ end -}}
{{- add $seconds 15 -}}
{{- end -}}
