package cmd

import (
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

func TestExplain(t *testing.T) {
	s := &session{namespace: "system"}
	group := signingKeys.version.WithResource(signingKeys.plural).GroupResource()
	forbidden := func(why string) error { return apierrors.NewForbidden(group, "", errors.New(why)) }
	const login = "the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: who?"
	cases := map[string]struct {
		reason string
		call   call
		err    error
		want   string
	}{
		"a right to read": {
			"viewers have it", s.call("list", issuedTokens, ""), forbidden("x cannot list resource y"),
			`you need the right to list issuedtokens of tokenwright.dev in namespace "system", which ClusterRole "tokenwright-platform-viewer" gives: signingkeys.tokenwright.dev is forbidden: x cannot list resource y`,
		},
		"a right to write": {
			"viewers do not have it", s.call("create", tokenRevocations, ""), forbidden("x cannot create resource y"),
			`you need the right to create tokenrevocations of tokenwright.dev in namespace "system", which ClusterRole "tokenwright-platform-admin" gives: signingkeys.tokenwright.dev is forbidden: x cannot create resource y`,
		},
		"a right to Kubernetes' own": {
			"it has no group", listOf(namespaces, ""), forbidden("x cannot list resource y"),
			"you need the right to list namespaces in the cluster; or ask about files, with -f: signingkeys.tokenwright.dev is forbidden: x cannot list resource y",
		},
		"what is forbidden for another reason": {
			"no role would help: admission or impersonation forbids it", s.call("patch", signingKeys, "registry"), forbidden("x cannot impersonate y"),
			`patch SigningKey "registry" in namespace "system": signingkeys.tokenwright.dev is forbidden: x cannot impersonate y`,
		},
		"credentials that ended": {"", s.call("get", signingKeys, "registry"), apierrors.NewUnauthorized("who?"), login},
		"a kind that is not there": {
			"", listOf(accessPolicies, ""), apierrors.NewGenericServerResponse(http.StatusNotFound, "get", group, "", "page not found", 0, true),
			"this cluster does not know accesspolicies: install Tokenwright in it, or name another with --context: the server could not find the requested resource (get signingkeys.tokenwright.dev)",
		},
		"an object that is not there": {
			"its kind is", s.call("get", signingKeys, "x"), apierrors.NewNotFound(group, "x"),
			`get SigningKey "x" in namespace "system": signingkeys.tokenwright.dev "x" not found`,
		},
		"an API server that is away": {"", listOf(accessPolicies, ""), errors.New("refused"), "list accesspolicies in all namespaces: refused"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := tc.call.explain(tc.err)
			if diff := cmp.Diff(tc.want, got.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if !errors.Is(got, tc.err) {
				t.Error("the cause is lost")
			}
		})
	}
}
