package cmd

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// testDecideMeanwhile has something happen between the look and the write.
func (b *keysBench) testDecideMeanwhile(t *testing.T) {
	cases := map[string]struct {
		meanwhile func(t *testing.T, q *v1alpha1.PermissionRequest, r *v1alpha1.ProtectedResource)
		want      string
		failed    bool
	}{
		"status": {func(t *testing.T, q *v1alpha1.PermissionRequest, _ *v1alpha1.ProtectedResource) {
			// As the manager writes a condition.
			q.Status.DecidedBy = "somebody"
			if err := b.plane.Client.Status().Update(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}, `approved: "bob" has view`, false},
		"resource": {func(t *testing.T, q *v1alpha1.PermissionRequest, r *v1alpha1.ProtectedResource) {
			r.Spec.Owner = "mallory"
			if err := b.plane.Client.Update(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			q.Labels = map[string]string{"a": "b"}
			if err := b.plane.Client.Update(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}, "the resource has another owner now", true},
		"deleted": {func(t *testing.T, q *v1alpha1.PermissionRequest, _ *v1alpha1.ProtectedResource) {
			if err := b.plane.Client.Delete(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}, "not found", true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := b.album(t, "meanwhile-"+name)
			q := b.asked(t, "meanwhile-"+name, "bob", r, "view")
			base, err := client.NewWithWatch(b.plane.Config, client.Options{Scheme: b.plane.Client.Scheme()})
			if err != nil {
				t.Fatal(err)
			}
			once := false
			c := interceptor.NewClient(base, interceptor.Funcs{
				SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
					if !once {
						once = true
						tc.meanwhile(t, q.DeepCopy(), r)
					}
					return c.SubResource(sub).Patch(ctx, o, p, opts...)
				},
			})
			var out strings.Builder
			s := &session{client: c, namespace: q.Namespace, program: "tokenwright", out: &out, errOut: io.Discard, now: time.Now}
			err = s.decide(t.Context(), q.Name, func(ctx context.Context, q *v1alpha1.PermissionRequest) (*verdict, error) {
				return s.approval(ctx, q, nil)
			})
			said := out.String()
			if err != nil {
				said = err.Error()
			}
			if (err != nil) != tc.failed || !strings.Contains(said, tc.want) {
				t.Errorf("said %q, want %q", said, tc.want)
			}
			if err := client.IgnoreNotFound(b.plane.Client.Get(t.Context(), client.ObjectKeyFromObject(q), q)); err != nil {
				t.Fatal(err)
			}
			if tc.failed && q.Status.State == v1alpha1.RequestApproved {
				t.Error("it is approved all the same")
			}
		})
	}
	t.Run("who decides is not known", func(t *testing.T) {
		r := b.album(t, "nameless")
		q := b.asked(t, "nameless", "bob", r, "view")
		base, err := client.NewWithWatch(b.plane.Config, client.Options{Scheme: b.plane.Client.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		c := interceptor.NewClient(base, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				if _, ok := o.(*authenticationv1.SelfSubjectReview); ok {
					return apierrors.NewMethodNotSupported(authenticationv1.Resource("selfsubjectreviews"), "create")
				}
				return c.Create(ctx, o, opts...)
			},
		})
		var out, errOut strings.Builder
		s := &session{client: c, namespace: q.Namespace, program: "tokenwright", out: &out, errOut: &errOut, now: time.Now}
		if err := s.decide(t.Context(), q.Name, s.denial); err != nil {
			t.Fatal(err)
		}
		b.reload(t, q)
		if q.Status.State != v1alpha1.RequestDenied || q.Status.DecidedBy != "" || !strings.HasPrefix(errOut.String(), "warning: decidedBy stays empty") {
			t.Errorf("status %+v, said %q", q.Status, errOut.String())
		}
	})
}
