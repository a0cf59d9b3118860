package observe

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// manyAlbums are resources with owners in 100 namespaces of one audience, and a tenth as many requests that were approved.
func manyAlbums(n int) (resources, requests []client.Object) {
	for i := range n {
		r := album(fmt.Sprint("team-", i%100), fmt.Sprint("album-", i), "photos.example.com", fmt.Sprint("owner-", i%1000))
		r.UID, r.ResourceVersion = types.UID(fmt.Sprintf("8c1c7a5e-1d9c-4f5b-9b1a-%012d", i)), fmt.Sprint(100_000+i)
		r.CreationTimestamp = metav1.NewTime(time.Unix(int64(1_800_000_000+i), 0))
		r.Spec.DisplayName = fmt.Sprint("Album ", i)
		r.Spec.URIs = []v1alpha1.ResourceURI{v1alpha1.ResourceURI(fmt.Sprintf("/albums/%d", i)), v1alpha1.ResourceURI(fmt.Sprintf("/albums/%d/photos", i))}
		r.Status.URIs = resource.Claimed(r, r.CreationTimestamp.Time)
		resources = append(resources, r)
		if i%10 == 0 {
			q := asks(fmt.Sprint("preq-", i), fmt.Sprint("friend-", i%100), r, "view")
			q.UID, q.ResourceVersion = types.UID(fmt.Sprintf("9c1c7a5e-1d9c-4f5b-9b1a-%012d", i)), fmt.Sprint(100_000+i)
			q.Status.State = v1alpha1.RequestApproved
			requests = append(requests, q)
		}
	}
	return resources, requests
}

func anys(objects []client.Object) (list []any) {
	for _, o := range objects {
		list = append(list, o)
	}
	return list
}

// BenchmarkStartWithResources starts servers with so many ProtectedResources with owners, and approved requests: how long
// until one is ready and serves them, and what of its memory they take. An API server that answers from memory sends them, as
// JSON.
func BenchmarkStartWithResources(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			resources, requests := manyAlbums(n)
			key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "photos", UID: "k"}}
			key.Spec.Audiences = []v1alpha1.Audience{"photos.example.com"}
			lists := map[string][]byte{"signingkeys": listOf(b, "SigningKeyList", []any{key})}
			empty, _ := started(b, serve(b, lists))
			lists = map[string][]byte{
				"signingkeys":        lists["signingkeys"],
				"protectedresources": listOf(b, "ProtectedResourceList", anys(resources)), "permissionrequests": listOf(b, "PermissionRequestList", anys(requests)),
			}
			config := serve(b, lists)
			var heap uint64
			for b.Loop() {
				var o observing
				heap, o = started(b, config)
				if got := o.holder.Load().Counts; got.Resources != n || got.Approvals != n+n/10 {
					b.Fatalf("%+v", got)
				}
			}
			held := float64(heap) - float64(empty)
			b.ReportMetric(held/(1<<20), "MiB")
			b.ReportMetric(held/float64(n), "B/resource")
		})
	}
}

// BenchmarkOneResourceChanged is the work between an event and the snapshot in which it has its effect.
func BenchmarkOneResourceChanged(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		resources, requests := manyAlbums(n)
		fill := func() (*builder, *snapshot.Snapshot) {
			built := &builder{resources: newResources(), index: policy.NewIndex(nil)}
			key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Name: "photos"}}
			key.Spec.Audiences = []v1alpha1.Audience{"photos.example.com"}
			s := snapshot.Build(snapshot.Input{Keys: []snapshot.Keys{{Object: key}}})
			built.applyResources(byName(resources), byName(requests))
			built.protect(s)
			return built, s
		}
		b.Run(fmt.Sprint("resource of ", n), func(b *testing.B) {
			built, s := fill()
			for i := 0; b.Loop(); i++ {
				r := album("team-7", "album-7", "photos.example.com", fmt.Sprint("owner-", i%2))
				r.UID = resources[7].GetUID()
				built.applyResources(byName([]client.Object{r}), nil)
				built.protect(s)
			}
			if s.Counts.Resources != n {
				b.Fatalf("%+v", s.Counts)
			}
		})
		b.Run(fmt.Sprint("request of ", n), func(b *testing.B) {
			built, s := fill()
			for i := 0; b.Loop(); i++ {
				q, _ := requests[7].DeepCopyObject().(*v1alpha1.PermissionRequest)
				q.Status.State = []v1alpha1.RequestState{v1alpha1.RequestApproved, v1alpha1.RequestDenied}[i%2]
				built.applyResources(nil, byName([]client.Object{q}))
				built.protect(s)
			}
			if got := s.Counts.Approvals; got != n+n/10 && got != n+n/10-1 {
				b.Fatalf("%+v", s.Counts)
			}
		})
	}
}

func byName(objects []client.Object) map[types.NamespacedName]client.Object {
	named := make(map[types.NamespacedName]client.Object, len(objects))
	for _, o := range objects {
		named[client.ObjectKeyFromObject(o)] = o
	}
	return named
}
