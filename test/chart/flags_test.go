package chart

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestValuesBecomeFlags(t *testing.T) {
	cases := map[string]struct {
		reason     string
		args       []string
		deployment string
		want, not  []string
	}{
		"TLS by default": {
			reason:     "passwords must not be sent in the clear",
			deployment: server,
			want:       []string{"--tls-cert-file=/etc/tokenwright/tls/tls.crt", "--tls-key-file=/etc/tokenwright/tls/tls.key"},
			not:        []string{"--path-prefix", "--trusted-proxies"},
		},
		"TLS from cert-manager": {
			reason:     "the files have the same names, whoever writes them",
			args:       []string{"--set=tls.mode=CertManager,tls.certManager.issuerRef.name=internal"},
			deployment: server,
			want:       []string{"--tls-cert-file=/etc/tokenwright/tls/tls.crt", "--tls-key-file=/etc/tokenwright/tls/tls.key"},
		},
		"no TLS": {
			reason:     "there are no such files",
			args:       []string{"--set=tls.mode=None"},
			deployment: server,
			not:        []string{"--tls-"},
		},
		"a path prefix": {
			reason:     "an ingress that does not rewrite paths sends it",
			args:       []string{"--set=server.pathPrefix=/auth"},
			deployment: server,
			want:       []string{"--path-prefix=/auth"},
		},
		"trusted proxies": {
			reason:     "behind an ingress all addresses would be the ingress's",
			args:       []string{"--set=server.trustedProxies={10.1.0.0/16,fd00::/8}"},
			deployment: server,
			want:       []string{"--trusted-proxies=10.1.0.0/16,fd00::/8"},
		},
		"timing that a server goes by": {
			reason:     "verifiers cache as long as the manager counts on",
			args:       []string{"--set=keys.jwksMaxAge=77s,keys.maxStaleness=79s,server.shutdownTimeout=78s"},
			deployment: server,
			want:       []string{"--jwks-max-age=77s", "--max-staleness=79s", "--shutdown-timeout=78s"},
		},
		"timing that the manager goes by": {
			reason:     "keys are retired by it",
			args:       []string{"--set=keys.jwksMaxAge=77s,keys.maxStaleness=78s,keys.clockSkew=79s"},
			deployment: manager,
			want:       []string{"--jwks-max-age=77s", "--max-staleness=78s", "--clock-skew=79s"},
		},
		"no UMA by default": {
			reason:     "what is not used need not be reachable, and its rights are not there",
			args:       []string{"--set=uma.compatibility=keycloak,uma.accessToken=true"},
			deployment: server,
			not:        []string{"--uma"},
		},
		"UMA": {
			reason:     "errors are the specification's, and no token holds another",
			args:       []string{"--set=uma.enabled=true"},
			deployment: server,
			want:       []string{"--uma", "--uma-compatibility=kantara"},
			not:        []string{"--uma1-access-token"},
		},
		"UMA as Keycloak had it": {
			reason:     "for clients that were written for it",
			args:       []string{"--set=uma.enabled=true,uma.compatibility=keycloak,uma.accessToken=true"},
			deployment: server,
			want:       []string{"--uma", "--uma-compatibility=keycloak", "--uma1-access-token"},
		},
		"UMA, for the manager": {
			reason:     "it says of every resource whether it is served, and knows no such flag",
			args:       []string{"--set=uma.enabled=true"},
			deployment: manager,
			not:        []string{"--uma"},
		},
		"where authorities are": {
			reason:     "the namespace that the roles speak of",
			args:       []string{"--set=caNamespace.name=authorities"},
			deployment: manager,
			want:       []string{"--ca-namespace=authorities", "--namespace=" + SystemNamespace},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := podOf(t, find(t, render(t, append([]string{issuer}, tc.args...)...), "Deployment", tc.deployment)).Spec.Containers[0].Args
			for _, flag := range tc.want {
				if !slices.Contains(args, flag) {
					t.Errorf("%s: found no %s in %q", tc.reason, flag, args)
				}
			}
			for _, prefix := range tc.not {
				if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, prefix) }) {
					t.Errorf("%s: found %s… in %q", tc.reason, prefix, args)
				}
			}
		})
	}
}

// A pod that is killed before its timeout is over drops what it has begun to answer.
func TestPodsMayTakeTheShutdownTimeoutToEnd(t *testing.T) {
	for timeout, want := range map[string]int64{"20s": 35, "45s": 60, "2m": 135} {
		t.Run(timeout, func(t *testing.T) {
			t.Parallel()
			pod := podOf(t, find(t, render(t, issuer, "--set=server.shutdownTimeout="+timeout), "Deployment", server))
			if got := *pod.Spec.TerminationGracePeriodSeconds; got != want {
				t.Errorf("the pod may take %d s to end, expected %d s: 5 to leave the endpoints and 10 to spare", got, want)
			}
		})
	}
}

// A server must have stopped to sign when the manager takes the last key that it could have signed with out of the JWKS.
func TestBothProcessesAreToldTheSame(t *testing.T) {
	told := func(t *testing.T, objects []*unstructured.Unstructured, flag string) {
		t.Helper()
		values := map[string]string{}
		for _, deployment := range []string{server, manager} {
			args := podOf(t, find(t, objects, "Deployment", deployment)).Spec.Containers[0].Args
			for _, arg := range args {
				if value, ok := strings.CutPrefix(arg, "--"+flag+"="); ok {
					values[deployment] = value
				}
			}
		}
		if values[server] == "" || values[server] != values[manager] {
			t.Errorf("--%s must be given to both and be the same: %v", flag, values)
		}
	}
	objects := map[string][]*unstructured.Unstructured{
		"the chart by default": render(t, issuer),
		"the chart if told so": render(t, issuer, "--set=keys.maxStaleness=78s,keys.jwksMaxAge=77s"),
		"config/default":       kustomize(t, "default"),
	}
	for name, rendered := range objects {
		for _, flag := range []string{"max-staleness", "jwks-max-age", "namespace"} {
			t.Run(name+" "+flag, func(t *testing.T) { told(t, rendered, flag) })
		}
	}
}

// By its pod a replica names its Lease, and says to whom the Lease belongs. The names of the variables are the server's.
func TestAReplicaKnowsItsPod(t *testing.T) {
	objects := map[string][]*unstructured.Unstructured{"the chart": render(t, issuer), "config/default": kustomize(t, "default")}
	for name, rendered := range objects {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for _, variable := range podOf(t, find(t, rendered, "Deployment", server)).Spec.Containers[0].Env {
				if variable.ValueFrom != nil && variable.ValueFrom.FieldRef != nil {
					got[variable.Name] = variable.ValueFrom.FieldRef.FieldPath
				}
			}
			want := map[string]string{"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
