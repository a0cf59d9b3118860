package cmd

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// TestKeysWait shows what waiting survives, and what it does not.
func TestKeysWait(t *testing.T) {
	away := errors.New("connection refused")
	cases := map[string]struct {
		reason  string
		answers []error // the last for ever
		want    string
	}{
		"the API server is away for a moment": {"an emergency does not fail for that", []error{away, away, nil}, ""},
		"the API server stays away": {
			"what is not known is not called undone", []error{away},
			"the rotation is not known to have come about: the API server did not answer within 2s: connection refused",
		},
		"the right is taken away": {
			"to go on asking is in vain", []error{nil, apierrors.NewUnauthorized("who?")},
			"the API server does not accept the credentials of the kubeconfig: log in again, or name another context with --context: who?",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asked := 0
			c := interceptor.NewClient(nil, interceptor.Funcs{
				Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
					err := tc.answers[min(asked, len(tc.answers)-1)]
					asked++
					return err
				},
			})
			s := &session{client: c, now: time.Now}
			_, err := s.await(t.Context(), "registry", 2*time.Second, "the rotation", func(*v1alpha1.SigningKey) (bool, error) { return asked > 2, nil })
			got := ""
			if err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestKeysOfAClusterWithoutTokenwright answers as an API server does that has no such kind.
func TestKeysOfAClusterWithoutTokenwright(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c"}
	file.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*file, path); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"list": {"list"}, "rotate": {"rotate", "registry"}} {
		t.Run(name, func(t *testing.T) {
			var out, errOut strings.Builder
			status := execute(t.Context(), append([]string{"keys", "--kubeconfig", path}, args...), &out, &errOut)
			if want := "error: this cluster does not know signingkeys: "; status != 1 || !strings.HasPrefix(errOut.String(), want) {
				t.Errorf("want %q, got status %d: %s", want, status, errOut.String())
			}
		})
	}
}
