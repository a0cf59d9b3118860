package chart

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/jsonpath"
)

const (
	server  = "tokenwright-server"
	manager = "tokenwright-manager"

	container = "{.spec.template.spec.containers[0]."
	dnsEgress = `{"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}`
)

// effect is what a value has to be in an object: kind, name and JSONPath, and the JSON of all that is found there.
type effect struct{ kind, name, path, want string }

type effectCase struct {
	reason string
	args   []string
	want   []effect
}

func TestWhatValuesChangeOfTheNetwork(t *testing.T) {
	const peer = `{"podSelector": {"matchLabels": {"app": "ingress"}}}`
	checkEffects(t, map[string]effectCase{
		"without ranges the ports alone bound what is reached": {
			reason: "the chart cannot know where the API server is",
			want: []effect{
				{"NetworkPolicy", server, "{.spec.egress}", `[[` + dnsEgress + `,
					{"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
					{"ports": [{"protocol": "TCP", "port": 443}]}]]`},
				{"NetworkPolicy", manager, "{.spec.egress}", `[[` + dnsEgress + `,
					{"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
					{"ports": [{"protocol": "TCP", "port": 443}]}]]`},
			},
		},
		"ranges of the API server bound both": {
			reason: "a pod that is taken over must not reach the rest",
			args:   []string{`--set-json=networkPolicy.apiServer={"cidrs": ["10.96.0.1/32", "10.0.0.0/28"], "ports": [6443]}`},
			want: []effect{
				{"NetworkPolicy", server, "{.spec.egress[1]}", `[{"ports": [{"protocol": "TCP", "port": 6443}],
					"to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}, {"ipBlock": {"cidr": "10.0.0.0/28"}}]}]`},
				{"NetworkPolicy", manager, "{.spec.egress[1]}", `[{"ports": [{"protocol": "TCP", "port": 6443}],
					"to": [{"ipBlock": {"cidr": "10.96.0.1/32"}}, {"ipBlock": {"cidr": "10.0.0.0/28"}}]}]`},
			},
		},
		"ranges of issuers bound both": {
			reason: "the server reads their keys, and the manager says in a status whether they can be had",
			args:   []string{`--set-json=networkPolicy.issuers={"cidrs": ["203.0.113.0/24"], "ports": [8443]}`},
			want: []effect{
				{"NetworkPolicy", server, "{.spec.egress[2:]}", `[{"ports": [{"protocol": "TCP", "port": 8443}],
					"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}]`},
				{"NetworkPolicy", manager, "{.spec.egress[2:]}", `[{"ports": [{"protocol": "TCP", "port": 8443}],
					"to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}]}]`},
			},
		},
		"everybody reaches the server by default": {
			reason: "clients of registries are anywhere",
			want: []effect{
				{"NetworkPolicy", server, "{.spec.ingress}", `[[{"ports": [{"protocol": "TCP", "port": 8080}]}]]`},
				{"NetworkPolicy", manager, "{.spec.ingress}", `[]`},
			},
		},
		"peers that are named are the only ones that reach the server": {
			reason: "an ingress that ends TLS must not be passed by",
			args:   []string{`--set-json=networkPolicy.serverFrom=[` + peer + `]`},
			want: []effect{
				{"NetworkPolicy", server, "{.spec.ingress}", `[[{"ports": [{"protocol": "TCP", "port": 8080}], "from": [` + peer + `]}]]`},
				{"NetworkPolicy", manager, "{.spec.ingress}", `[]`},
			},
		},
		"a load balancer keeps the caller's address": {
			reason: "when.sourceRanges of policies speak of it",
			args:   []string{"--set=server.service.type=LoadBalancer"},
			want:   []effect{{"Service", server, "{.spec.externalTrafficPolicy}", `["Local"]`}},
		},
		"a load balancer that need not keep it, and who may use it": {
			reason: "both are the platform's to say",
			args: []string{"--set=server.service.type=LoadBalancer,server.service.externalTrafficPolicy=Cluster",
				"--set=server.service.loadBalancerSourceRanges={192.0.2.0/24},server.service.loadBalancerClass=example.com/internal"},
			want: []effect{
				{"Service", server, "{.spec.externalTrafficPolicy}", `["Cluster"]`},
				{"Service", server, "{.spec.loadBalancerSourceRanges[*]}", `["192.0.2.0/24"]`},
				{"Service", server, "{.spec.loadBalancerClass}", `["example.com/internal"]`},
			},
		},
		"inside of the cluster there is no traffic from outside": {
			reason: "the API server refuses the field there",
			args:   []string{"--set=server.service.externalTrafficPolicy=Cluster"},
			want:   []effect{{"Service", server, "{.spec.externalTrafficPolicy}", `[]`}},
		},
	})
}

func TestWhatValuesChangeOfTLS(t *testing.T) {
	const (
		tlsSecret = `{.spec.template.spec.volumes[?(@.name=="tls")].secret.secretName}`
		tlsMount  = container + `volumeMounts[?(@.name=="tls")].mountPath}`
		certMode  = "--set=tls.mode=CertManager,tls.certManager.issuerRef.name=internal"
	)
	checkEffects(t, map[string]effectCase{
		"a Secret by default": {
			reason: "passwords must not be sent in the clear",
			want: []effect{
				{"Deployment", server, tlsSecret, `["tokenwright-server-tls"]`},
				{"Deployment", server, tlsMount, `["/etc/tokenwright/tls"]`},
				{"Service", server, "{.spec.ports}", `[[{"name": "https", "port": 443, "targetPort": "https", "appProtocol": "https"}]]`},
				{"Certificate", server, "{.spec}", `[]`},
			},
		},
		"a Secret of another name": {
			reason: "it may be somebody else's",
			args:   []string{"--set=tls.secretName=mine"},
			want:   []effect{{"Deployment", server, tlsSecret, `["mine"]`}},
		},
		"no TLS": {
			reason: "an ingress ends it: nothing of a certificate may be left, or pods would wait for a Secret for ever",
			args:   []string{"--set=tls.mode=None,server.ingress.enabled=true"},
			want: []effect{
				{"Deployment", server, "{.spec.template.spec.volumes}", `[]`},
				{"Deployment", server, container + "volumeMounts}", `[]`},
				{"Deployment", server, container + "ports[0].name}", `["http"]`},
				{"Service", server, "{.spec.ports}", `[[{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]]`},
				{"Ingress", server, "{.spec.rules[*].http.paths[*].backend.service.port.name}", `["http"]`},
			},
		},
		"no TLS, but volumes of others": {
			reason: "they must not bring the certificate's back",
			args: []string{"--set=tls.mode=None", `--set-json=server.volumes=[{"name": "audit", "emptyDir": {}}]`,
				`--set-json=server.volumeMounts=[{"name": "audit", "mountPath": "/audit"}]`},
			want: []effect{
				{"Deployment", server, "{.spec.template.spec.volumes[*].name}", `["audit"]`},
				{"Deployment", server, container + "volumeMounts[*].name}", `["audit"]`},
			},
		},
		"a certificate for the issuer's host and the Service": {
			reason: "clients come by the one, an ingress by the other; a port is no part of a name",
			args:   []string{certMode, "--set=server.issuer=https://tokens.example.com:8443/auth"},
			want: []effect{
				{"Certificate", server, "{.spec.dnsNames[*]}", `["tokens.example.com", "tokenwright-server.tokenwright-system.svc"]`},
				{"Certificate", server, "{.spec.issuerRef}", `[{"name": "internal", "kind": "ClusterIssuer", "group": "cert-manager.io"}]`},
				{"Certificate", server, "{.spec.secretName}", `["tokenwright-server-tls"]`},
				{"Deployment", server, tlsSecret, `["tokenwright-server-tls"]`},
			},
		},
		"a certificate as told": {
			reason: "the Secret that is written must be the one that is mounted",
			args: []string{"--set=tls.mode=CertManager,tls.secretName=mine,tls.certManager.dnsNames={a.example.com,b.example.com}",
				"--set=tls.certManager.issuerRef.name=ca,tls.certManager.issuerRef.kind=Issuer,tls.certManager.issuerRef.group=pki.example.com",
				"--set=tls.certManager.duration=24h,tls.certManager.renewBefore=8h"},
			want: []effect{
				{"Certificate", server, "{.spec.dnsNames[*]}", `["a.example.com", "b.example.com"]`},
				{"Certificate", server, "{.spec.issuerRef}", `[{"name": "ca", "kind": "Issuer", "group": "pki.example.com"}]`},
				{"Certificate", server, "{.spec['duration','renewBefore']}", `["24h", "8h"]`},
				{"Certificate", server, "{.spec.secretName}", `["mine"]`},
				{"Deployment", server, tlsSecret, `["mine"]`},
			},
		},
		"an ingress for the issuer's host": {
			reason: "a port is no part of a host",
			args:   []string{"--set=server.issuer=https://tokens.example.com:8443/auth,server.ingress.enabled=true,server.ingress.tlsSecretName=mine"},
			want: []effect{
				{"Ingress", server, "{.spec.rules[*].host}", `["tokens.example.com"]`},
				{"Ingress", server, "{.spec.tls}", `[[{"hosts": ["tokens.example.com"], "secretName": "mine"}]]`},
			},
		},
	})
}

func TestWhatTheReleaseChangesOfAdmission(t *testing.T) {
	const (
		policy = "ValidatingAdmissionPolicy"
		user   = "{.spec.matchConditions[*].expression}"
		where  = `{.spec.matchConstraints.namespaceSelector.matchLabels.kubernetes\.io/metadata\.name}`
		prefix = "{.spec.validations[0].expression}"
	)
	checkEffects(t, map[string]effectCase{
		"a server's Leases by default": {
			reason: "the server's ServiceAccount, where it has rights",
			want: []effect{
				{policy, "tokenwright-server-leases", user, `["request.userInfo.username == 'system:serviceaccount:tokenwright-system:tokenwright-server'"]`},
				{policy, "tokenwright-server-leases", where, `["tokenwright-system"]`},
			},
		},
		"a release of another name in another namespace": {
			reason: "the ServiceAccount has another name; that of a Lease begins as before, because the code says so",
			args:   []string{"--set=fullnameOverride=tokens", "--namespace=auth"},
			want: []effect{
				{policy, "tokens-server-leases", user, `["request.userInfo.username == 'system:serviceaccount:auth:tokens-server'"]`},
				{policy, "tokens-server-leases", where, `["auth"]`},
				{policy, "tokens-server-leases", prefix, `["variables.name.startsWith('tokenwright-server-')"]`},
				{policy + "Binding", "tokens-server-leases", "{.spec.policyName}", `["tokens-server-leases"]`},
				{"Deployment", "tokens-server", "{.spec.template.spec.serviceAccountName}", `["tokens-server"]`},
			},
		},
		"no admission policies": {
			reason: "the platform may have its own",
			args:   []string{"--set=admission.enabled=false"},
			want:   []effect{{policy, "tokenwright-server-leases", "{.spec}", `[]`}},
		},
	})
}

func TestWhatValuesChangeOfPods(t *testing.T) {
	const (
		digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		spread = `{.spec.template.spec.topologySpreadConstraints`
	)
	for component, name := range map[string]string{"server": server, "manager": manager} {
		pods := `{"app.kubernetes.io/name": "tokenwright", "app.kubernetes.io/instance": "tokenwright", "app.kubernetes.io/component": "` + component + `"}`
		checkEffects(t, map[string]effectCase{
			component + ": a digest wins over a tag": {
				reason: "a tag may move",
				args:   []string{"--set=image.repository=example.com/tw,image.tag=v9,image.digest=" + digest},
				want:   []effect{{"Deployment", name, container + "image}", `["example.com/tw@` + digest + `"]`}},
			},
			component + ": a tag": {
				reason: "and the Secrets to pull it with",
				args:   []string{"--set=image.repository=example.com/tw,image.tag=v9,image.pullPolicy=Always,image.pullSecrets[0].name=mine"},
				want: []effect{
					{"Deployment", name, container + "image}", `["example.com/tw:v9"]`},
					{"Deployment", name, container + "imagePullPolicy}", `["Always"]`},
					{"Deployment", name, "{.spec.template.spec.imagePullSecrets[*].name}", `["mine"]`},
				},
			},
			component + ": spread over zones and nodes by default": {
				reason: "any of them may go; pods must start all the same where there is one zone",
				want: []effect{
					{"Deployment", name, spread + "[*].topologyKey}", `["topology.kubernetes.io/zone", "kubernetes.io/hostname"]`},
					{"Deployment", name, spread + "[*].whenUnsatisfiable}", `["ScheduleAnyway", "ScheduleAnyway"]`},
					{"Deployment", name, spread + "[*].labelSelector.matchLabels}", `[` + pods + `, ` + pods + `]`},
				},
			},
			component + ": spread as told": {
				reason: "nothing of the default is left",
				args:   []string{`--set-json=` + component + `.topologySpreadConstraints=[{"maxSkew": 2, "topologyKey": "rack"}]`},
				want:   []effect{{"Deployment", name, spread + "}", `[[{"maxSkew": 2, "topologyKey": "rack"}]]`}},
			},
			component + ": a budget by default": {
				reason: "one at a time; pods that are not ready must not keep a node from being drained",
				want: []effect{{"PodDisruptionBudget", name, "{.spec}",
					`[{"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": ` + pods + `}}]`}},
			},
			component + ": another budget": {
				reason: "a share is fine too",
				args:   []string{"--set=" + component + ".podDisruptionBudget.maxUnavailable=50%"},
				want:   []effect{{"PodDisruptionBudget", name, "{.spec.maxUnavailable}", `["50%"]`}},
			},
			component + ": no budget": {
				reason: "the platform may have its own",
				args:   []string{"--set=" + component + ".podDisruptionBudget.enabled=false"},
				want:   []effect{{"PodDisruptionBudget", name, "{.spec}", `[]`}},
			},
			component + ": resources": {
				reason: "what is given is laid over the default",
				args:   []string{"--set=" + component + ".resources.requests.cpu=2," + component + ".resources.limits.memory=1Gi"},
				want: []effect{{"Deployment", name, container + "resources}",
					`[{"requests": {"cpu": 2, "memory": "128Mi"}, "limits": {"memory": "1Gi"}}]`}},
			},
			component + ": replicas": {
				reason: "both scale",
				args:   []string{"--set=" + component + ".replicas=5"},
				want:   []effect{{"Deployment", name, "{.spec.replicas}", `[5]`}},
			},
		})
	}
}

func TestWhatValuesChangeOfMetrics(t *testing.T) {
	for component, name := range map[string]string{"server": server, "manager": manager} {
		checkEffects(t, map[string]effectCase{
			component + ": not read by default": {
				reason: "the Prometheus operator may not be there",
				want:   []effect{{"ServiceMonitor", name, "{.spec}", `[]`}},
			},
			component + ": read": {
				reason: "the Service with the metrics' port, and not the one with the clients'",
				args:   []string{"--set=serviceMonitor.enabled=true,serviceMonitor.interval=77s,serviceMonitor.labels.release=prometheus"},
				want: []effect{
					{"ServiceMonitor", name, "{.metadata.labels.release}", `["prometheus"]`},
					{"ServiceMonitor", name, "{.spec.endpoints}", `[[{"port": "metrics", "path": "/metrics", "interval": "77s"}]]`},
					{"ServiceMonitor", name, "{.spec.selector.matchLabels}", `[{"app.kubernetes.io/name": "tokenwright",
						"app.kubernetes.io/instance": "tokenwright", "app.kubernetes.io/component": "` + component + `", "tokenwright.dev/metrics": "true"}]`},
					{"Service", name + "-metrics", `{.metadata.labels.tokenwright\.dev/metrics}`, `["true"]`},
					{"Service", name + "-metrics", "{.spec.ports[*].name}", `["metrics"]`},
					{"Service", server, `{.metadata.labels.tokenwright\.dev/metrics}`, `[]`},
				},
			},
		})
	}
}

func checkEffects(t *testing.T, cases map[string]effectCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := render(t, append([]string{issuer}, tc.args...)...)
			for _, e := range tc.want {
				got := at(t, objects, e)
				if diff := cmp.Diff(decoded(t, e.want), got); diff != "" {
					t.Errorf("%s: %s %s %s (-want +got):\n%s", tc.reason, e.kind, e.name, e.path, diff)
				}
			}
		})
	}
}

// at is what is found at the effect's path: nothing if there is no such object.
func at(t *testing.T, objects []*unstructured.Unstructured, e effect) any {
	t.Helper()
	path := jsonpath.New(e.kind).AllowMissingKeys(true)
	if err := path.Parse(e.path); err != nil {
		t.Fatalf("parse %s: %v", e.path, err)
	}
	found := []any{}
	for _, o := range objects {
		if o.GetKind() != e.kind || o.GetName() != e.name {
			continue
		}
		results, err := path.FindResults(o.Object)
		if err != nil && !strings.Contains(err.Error(), "is not found") {
			t.Fatalf("read %s of %s: %v", e.path, nameOf(o), err)
		}
		for _, result := range results {
			for _, value := range result {
				found = append(found, value.Interface())
			}
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, string(text))
}
