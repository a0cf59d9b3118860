package admission

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/chart"
	"github.com/tokenwright/tokenwright/test/controlplane"
	"github.com/tokenwright/tokenwright/test/stage"
)

const recordsMessage = "must be written by the manager only, or by somebody who may update Secrets there"

// TestKeyRecords has two who may write everything that the manager believes when a Secret is lost; one may write Secrets,
// too.
func TestKeyRecords(t *testing.T) {
	ctx := t.Context()
	install(ctx, t)
	const namespace = chart.SystemNamespace
	records := []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"signingkeys/status"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}},
	}
	secrets := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"update"}}
	for account, rules := range map[string][]rbacv1.PolicyRule{"records": records, "records-and-secrets": append(records, secrets)} {
		create(ctx, t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}})
		create(ctx, t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}, Rules: rules})
		create(ctx, t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
		})
	}
	key := &v1alpha1.SigningKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "records"}}
	key.Spec.Audiences = []v1alpha1.Audience{"records.example.com"}
	create(ctx, t, key)
	if err := plane.Client.Get(ctx, client.ObjectKeyFromObject(key), key); err != nil {
		t.Fatal(err)
	}
	configMap := func(name string, owned bool) *corev1.ConfigMap {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		if owned {
			c.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "SigningKey", Name: key.Name, UID: key.UID, Controller: new(true),
			}}
		}
		return c
	}
	create(ctx, t, configMap("records-keys", true))
	create(ctx, t, configMap("foreign", false))
	edit := func(name string, how func(*corev1.ConfigMap)) func(context.Context, client.Client) error {
		return func(ctx context.Context, c client.Client) error {
			stored := &corev1.ConfigMap{}
			if err := plane.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, stored); err != nil {
				return err
			}
			how(stored)
			return c.Update(ctx, stored, client.DryRunAll)
		}
	}
	cases := map[string]struct {
		reason  string
		try     func(context.Context, client.Client) error
		anybody bool
	}{
		"the status": {reason: "its keys are published when the Secret is lost", try: func(ctx context.Context, c client.Client) error {
			forged := key.DeepCopy()
			forged.Status.ActiveKeyID = "forged"
			return c.Status().Patch(ctx, forged, client.MergeFrom(key), &client.SubResourcePatchOptions{PatchOptions: client.PatchOptions{DryRun: []string{metav1.DryRunAll}}})
		}},
		"the ConfigMap":       {reason: "its authorities are trusted", try: edit("records-keys", func(c *corev1.ConfigMap) { c.Data = map[string]string{"ca.crt": "x"} })},
		"away from its owner": {reason: "nothing could be published any more", try: edit("records-keys", func(c *corev1.ConfigMap) { c.OwnerReferences = nil })},
		"to an owner":         {reason: "it would be believed then", try: edit("foreign", func(c *corev1.ConfigMap) { c.OwnerReferences = configMap("", true).OwnerReferences })},
		"a new one": {reason: "it would be believed", try: func(ctx context.Context, c client.Client) error {
			return c.Create(ctx, configMap("new-keys", true), client.DryRunAll)
		}},
		"a foreign one": {reason: "it is none of ours", anybody: true, try: edit("foreign", func(c *corev1.ConfigMap) { c.Data = map[string]string{"a": "b"} })},
	}
	as := func(account string) client.Client {
		c, err := client.New(unboundConfig(ctx, t, namespace, account), client.Options{Scheme: controlplane.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		admitted := cases["a foreign one"].try
		if err := stage.Eventually(ctx, limit, func() error { return admitted(ctx, c) }); err != nil {
			t.Fatalf("the rights of %s are not in force: %v", account, err)
		}
		return c
	}
	without, with := as("records"), as("records-and-secrets")
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.try(ctx, without)
			switch {
			case c.anybody && err != nil:
				t.Errorf("%s: must be admitted: %v", c.reason, err)
			case !c.anybody && (refused(err) != nil || !strings.Contains(err.Error(), recordsMessage)):
				t.Errorf("%s: must be refused by the admission policy: %v", c.reason, err)
			}
			if err := c.try(ctx, with); err != nil {
				t.Errorf("whoever may write the Secret may write this: %v", err)
			}
		})
	}
}
