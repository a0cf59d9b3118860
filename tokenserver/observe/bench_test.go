package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"runtime"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/record"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// BenchmarkStartWithRecords starts servers with 100,000 records of 50,000 users, and 1,000 revocations: how long until one
// is ready, and what of its memory they take. An API server that answers from memory sends them, as JSON.
func BenchmarkStartWithRecords(b *testing.B) {
	lists := manyRecords(b)
	empty, _ := started(b, serve(b, nil))
	config := serve(b, lists)
	var heap uint64
	for b.Loop() {
		var o observing
		heap, o = started(b, config)
		if o.records.Len() != 2*users || o.records.Revocations().Len() != revocations {
			b.Fatalf("%d records and %d revocations are seen", o.records.Len(), o.records.Revocations().Len())
		}
	}
	held := float64(heap) - float64(empty)
	b.ReportMetric(held/(1<<20), "MiB")
	b.ReportMetric(held/(2*users+revocations), "B/record")
}

const users, revocations = 50_000, 1_000

func manyRecords(b *testing.B) map[string][]byte {
	b.Helper()
	var tokens, revoked []any
	for i := range 2 * users {
		t := recorded(fmt.Sprint("user-", i%users), i)
		t.UID, t.ResourceVersion = types.UID(fmt.Sprintf("8c1c7a5e-1d9c-4f5b-9b1a-%012d", i)), fmt.Sprint(100_000+i)
		t.CreationTimestamp = metav1.NewTime(time.Unix(int64(1_800_000_000+i), 0))
		tokens = append(tokens, t)
	}
	for i := range revocations {
		revoked = append(revoked, revokes(fmt.Sprintf("1-%d-abcdefghijklmnopqrstuvwxyz", i)))
	}
	return map[string][]byte{"issuedtokens": listOf(b, "IssuedTokenList", tokens), "tokenrevocations": listOf(b, "TokenRevocationList", revoked)}
}

// listOf is a list as an API server sends it.
func listOf(b *testing.B, kind string, items []any) []byte {
	b.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": map[string]any{"resourceVersion": "1000000"}, "items": items,
	})
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// serve is an API server that has the lists, of other kinds empty ones, and in which nothing changes.
func serve(b *testing.B, lists map[string][]byte) *rest.Config {
	b.Helper()
	kinds := map[string][2]string{
		"accesspolicies": {"tokenwright.dev/v1alpha1", "AccessPolicyList"}, "clusteraccesspolicies": {"tokenwright.dev/v1alpha1", "ClusterAccessPolicyList"},
		"signingkeys": {"tokenwright.dev/v1alpha1", "SigningKeyList"}, "identityproviders": {"tokenwright.dev/v1alpha1", "IdentityProviderList"},
		"issuedtokens": {"tokenwright.dev/v1alpha1", "IssuedTokenList"}, "tokenrevocations": {"tokenwright.dev/v1alpha1", "TokenRevocationList"},
		"protectedresources": {"tokenwright.dev/v1alpha1", "ProtectedResourceList"}, "permissionrequests": {"tokenwright.dev/v1alpha1", "PermissionRequestList"},
		"secrets": {"v1", "SecretList"}, "namespaces": {"meta.k8s.io/v1", "PartialObjectMetadataList"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := path.Base(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch query := r.URL.Query(); {
		case query.Get("sendInitialEvents") == "true":
			w.WriteHeader(http.StatusUnprocessableEntity) // the client lists instead
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
		case query.Get("watch") == "true":
			w.WriteHeader(http.StatusOK)
			if flusher, ok := w.(http.Flusher); ok {
				flusher.Flush()
			}
			<-r.Context().Done()
		case lists[resource] != nil:
			_, _ = w.Write(lists[resource])
		default:
			_, _ = fmt.Fprintf(w, `{"apiVersion":%q,"kind":%q,"metadata":{"resourceVersion":"1000000"},"items":[]}`, kinds[resource][0], kinds[resource][1])
		}
	}))
	b.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// started runs an observer until it is ready, and returns what the heap holds then.
func started(b *testing.B, config *rest.Config) (uint64, observing) {
	b.Helper()
	o := observing{holder: &snapshot.Holder{}, records: &record.Index{}}
	var err error
	o.Observer, err = New(Options{Config: config, Namespace: system, Holder: o.holder, Records: o.records, UMA: true, Log: logr.Discard()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Start(ctx) }()
	for end := time.Now().Add(5 * time.Minute); o.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatal(o.Ready())
		}
	}
	b.StopTimer()
	defer b.StartTimer()
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what had to be finalized is gone after the second
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(o)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return m.HeapAlloc, o
}
