package provider

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const hash4 = "$2y$04$AAAAAAAAAAAAAAAAAAAAAOBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

func withCost(cost string) string { return "$2b$" + cost + hash4[6:] }

func object(spec v1alpha1.IdentityProviderSpec) *v1alpha1.IdentityProvider {
	return &v1alpha1.IdentityProvider{
		ObjectMeta: metav1.ObjectMeta{Name: "users", UID: "u1", Generation: 3},
		Spec:       spec,
	}
}

func secrets(labels map[string]string, data map[string][]byte) func(string) (Secret, bool) {
	return func(name string) (Secret, bool) {
		return Secret{Labels: labels, Data: data, ResourceVersion: "7"}, name == "users"
	}
}

func TestCompile(t *testing.T) {
	watched := map[string]string{v1alpha1.LabelWatch: ""}
	file := func(s string) map[string][]byte { return map[string][]byte{"htpasswd": []byte(s)} }
	type args struct {
		spec   v1alpha1.IdentityProviderSpec
		labels map[string]string
		data   map[string][]byte
	}
	ref := v1alpha1.SecretKeyRef{Name: "users"}
	cases := map[string]struct {
		reason string
		args   args
		want   *Provider
		fault  string // Reason of the one problem; empty: none
	}{
		"a file with users and groups compiles": {
			reason: "Groups carry the prefix, hashes are looked up without it.",
			args: args{
				spec:   v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref, GroupsKey: "groups", Prefix: "corp:"}},
				labels: watched,
				data: map[string][]byte{
					"htpasswd": []byte("# people\r\n\r\nalice:" + hash4 + "\r\n"),
					"groups":   []byte("devs: alice bob\nops:alice\n"),
				},
			},
			want: &Provider{Name: "users", UID: "u1", Generation: 3, Prefix: "corp:", SecretVersion: "7", Htpasswd: &Htpasswd{
				Hashes: map[string][]byte{"alice": []byte(hash4)},
				Groups: map[string][]string{"alice": {"corp:devs", "corp:ops"}, "bob": {"corp:devs"}},
				Cost:   4,
			}},
		},
		"an empty file compiles to nobody": {
			reason: "An installation may begin without users.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref}}, labels: watched, data: file("")},
			want: &Provider{Name: "users", UID: "u1", Generation: 3, SecretVersion: "7",
				Htpasswd: &Htpasswd{Hashes: map[string][]byte{}, Groups: map[string][]string{}}},
		},
		"a missing Secret is fatal": {
			reason: "Nobody can be known without the file.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: v1alpha1.SecretKeyRef{Name: "other"}}}},
			fault:  v1alpha1.ReasonSecretNotFound,
		},
		"a Secret without the label is fatal": {
			reason: "The servers do not hold it, so the manager must not say that it serves.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref}}, data: file("")},
			fault:  v1alpha1.ReasonSecretNotLabelled,
		},
		"a missing key is fatal": {
			reason: "Nobody can be known without the file.",
			args: args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: v1alpha1.SecretKeyRef{Name: "users", Key: "x"}}},
				labels: watched, data: file("")},
			fault: v1alpha1.ReasonKeyNotFound,
		},
		"a missing groups key is fatal": {
			reason: "Users without their groups would escape what is denied to the groups.",
			args: args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref, GroupsKey: "groups"}},
				labels: watched, data: file("alice:" + hash4)},
			fault: v1alpha1.ReasonKeyNotFound,
		},
		"a file past its bounds is fatal": {
			reason: "The parser works a bounded time.",
			args: args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref}},
				labels: watched, data: file(strings.Repeat("\n", maxLines+1))},
			fault: v1alpha1.ReasonInvalidEntry,
		},
		"a prefix of Kubernetes' own names is fatal": {
			reason: "The schema refuses it too; the offline tools have no schema.",
			args: args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref, Prefix: "system:serviceaccount:a:"}},
				labels: watched, data: file("")},
			fault: v1alpha1.ReasonInvalidSpec,
		},
		"a prefix that cannot be seen is fatal": {
			reason: "Two prefixes that look alike would be two namespaces of users.",
			args: args{spec: v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{SecretRef: ref, Prefix: "corp\u200b:"}},
				labels: watched, data: file("")},
			fault: v1alpha1.ReasonInvalidSpec,
		},
		"a kubernetes provider verifies OnlinePreferred by default": {
			reason: "The schema defaults it; the offline tools have no schema.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"tokenwright"}}}},
			want: &Provider{Name: "users", UID: "u1", Generation: 3,
				Kubernetes: &Kubernetes{Audiences: []string{"tokenwright"}, Verification: v1alpha1.VerifyOnlinePreferred}},
		},
		"a kubernetes provider without audiences is fatal": {
			reason: "A review without audiences accepts the token that every pod has.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{""}}}},
			fault:  v1alpha1.ReasonInvalidSpec,
		},
		"an unknown verification is fatal": {
			reason: "What is not known must not become the weakest.",
			args:   args{spec: v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"a"}, Verification: "Never"}}},
			fault:  v1alpha1.ReasonInvalidSpec,
		},
		"no provider at all is fatal": {
			reason: "There is nothing to serve.",
			fault:  v1alpha1.ReasonInvalidSpec,
		},
		"two providers in one are fatal": {
			reason: "It would not be clear who vouches.",
			args: args{spec: v1alpha1.IdentityProviderSpec{
				Htpasswd:   &v1alpha1.HtpasswdProvider{SecretRef: ref},
				Kubernetes: &v1alpha1.KubernetesProvider{Audiences: []v1alpha1.Audience{"a"}},
			}, labels: watched, data: file("")},
			fault: v1alpha1.ReasonInvalidSpec,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, problems := Compile(object(tc.args.spec), secrets(tc.args.labels, tc.args.data))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nprovider -want +got:\n%s", tc.reason, diff)
			}
			var reasons []string
			for _, p := range problems {
				reasons = append(reasons, p.Reason)
			}
			if diff := cmp.Diff(tc.fault, strings.Join(reasons, ",")); diff != "" {
				t.Errorf("%s\nproblems -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestConflicts(t *testing.T) {
	at := func(name string, minute int, spec v1alpha1.IdentityProviderSpec) v1alpha1.IdentityProvider {
		o := object(spec)
		o.Name = name
		o.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC))
		return *o
	}
	users := func(prefix string) v1alpha1.IdentityProviderSpec {
		return v1alpha1.IdentityProviderSpec{Htpasswd: &v1alpha1.HtpasswdProvider{Prefix: prefix}}
	}
	accounts := func(audiences ...v1alpha1.Audience) v1alpha1.IdentityProviderSpec {
		return v1alpha1.IdentityProviderSpec{Kubernetes: &v1alpha1.KubernetesProvider{Audiences: audiences}}
	}
	tokens := func(prefix, issuer string, audiences ...v1alpha1.Audience) v1alpha1.IdentityProviderSpec {
		return v1alpha1.IdentityProviderSpec{JWT: &v1alpha1.JWTProvider{
			Prefix: prefix, Issuer: v1alpha1.JWTIssuer{URL: v1alpha1.IssuerURL(issuer), Audiences: audiences},
		}}
	}
	const issuer = "https://issuer.example.com"
	cases := map[string]struct {
		reason string
		args   []v1alpha1.IdentityProvider
		want   map[string]string
	}{
		"a prefix is held over all types": {
			reason: "A line of an htpasswd file would be the user of a token.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, users("gh-")), at("b", 2, tokens("gh-", issuer, "x")), at("c", 3, tokens("g", issuer, "y"))},
			want:   map[string]string{"b": v1alpha1.ReasonPrefixTaken, "c": v1alpha1.ReasonPrefixTaken},
		},
		"names without a prefix and those of tokens stand side by side": {
			reason: "A name that begins with the prefix is the issuer's alone.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, users("")), at("b", 2, tokens("gh:", issuer, "x"))},
			want:   map[string]string{},
		},
		"one issuer for two audiences is two providers": {
			reason: "The audience says whose token it is.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, tokens("a:", issuer, "x")), at("b", 2, tokens("b:", issuer, "y"))},
			want:   map[string]string{},
		},
		"one audience of two issuers is two providers": {
			reason: "The issuer says whose token it is.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, tokens("a:", issuer, "x")), at("b", 2, tokens("b:", issuer+"/", "x")), at("c", 3, accounts("x"))},
			want:   map[string]string{},
		},
		"the older of two with one audience of one issuer serves": {
			reason: "One token would be two callers.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, tokens("a:", issuer, "x")), at("b", 2, tokens("b:", issuer, "y", "x"))},
			want:   map[string]string{"b": v1alpha1.ReasonAudienceTaken},
		},
		"different prefixes and none stand side by side": {
			reason: "No name can be that of two users.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, users("")), at("b", 2, users("corp:")), at("c", 3, users("lab:"))},
			want:   map[string]string{},
		},
		"the older of two without a prefix serves": {
			reason: "The same name would be two people.",
			args:   []v1alpha1.IdentityProvider{at("a", 2, users("")), at("b", 1, users(""))},
			want:   map[string]string{"a": v1alpha1.ReasonPrefixTaken},
		},
		"a prefix of a prefix is refused": {
			reason: "c: and user orp:alice would be corp:alice.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, users("corp:")), at("b", 2, users("c")), at("c", 3, users("corp:lab:"))},
			want:   map[string]string{"b": v1alpha1.ReasonPrefixTaken, "c": v1alpha1.ReasonPrefixTaken},
		},
		"of two of one age the first by name serves": {
			reason: "Two replicas must give one answer.",
			args:   []v1alpha1.IdentityProvider{at("b", 1, users("x")), at("a", 1, users("x"))},
			want:   map[string]string{"b": v1alpha1.ReasonPrefixTaken},
		},
		"one that is refused takes nothing away from a third": {
			reason: "Only those that serve hold names.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, users("ab")), at("b", 2, users("a")), at("c", 3, users("ac"))},
			want:   map[string]string{"b": v1alpha1.ReasonPrefixTaken},
		},
		"two clusters' audiences stand side by side": {
			reason: "A token is for one of them.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, accounts("x")), at("b", 2, accounts("y")), at("c", 3, users(""))},
			want:   map[string]string{},
		},
		"the older of two with one audience serves": {
			reason: "A younger provider with Offline would undo the Online of the older.",
			args:   []v1alpha1.IdentityProvider{at("a", 1, accounts("x")), at("b", 2, accounts("y", "x"))},
			want:   map[string]string{"b": v1alpha1.ReasonAudienceTaken},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for name, problem := range Conflicts(tc.args) {
				got[name] = problem.Reason
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
