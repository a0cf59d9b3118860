package tokenserver

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/provider"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// back is the answer to who wants to have the token back that its own came from.
var back = tokenProblem("INVALID_TARGET", "invalid_target", "the token came from one of this audience, and is not exchanged back")

// startChain runs the world with audiences in which alice may do all and exchange all.
func startChain(t testing.TB, more ...v1alpha1.Audience) *oauthWorld {
	t.Helper()
	return startOAuth(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Keys = append(input.Keys, fixture.Key(t, "more", v1alpha1.KeyID, time.Now().Add(-time.Minute), more...))
		input.Policies = fixture.Policies(t, append(oauthPolicies(), fixture.Cluster("all", users("alice"), oauthRule("*", "exchange"), nil))...)
	})
}

// exchanged exchanges a token of ours for one of the audience.
func (w *oauthWorld) exchanged(t testing.TB, text, audience, scopes string) string {
	t.Helper()
	return w.form(t, "/token", "", "", exchanging(text, "audience", audience, "scope", scopes)).text(t, "access_token")
}

// TestTheScopesOfATokenAreNotShedOnAWayAround is the service that was called with a token of one scope, and wants all that its
// subject may do there.
func TestTheScopesOfATokenAreNotShedOnAWayAround(t *testing.T) {
	const third, all = "https://third.example.com", "order:eu/1:read,write order:us/1:write"
	w := startChain(t, third)
	narrow := w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["scope"] = "order:eu/1:read" })
	ways := map[string]string{
		"by another audience":  w.exchanged(t, narrow, otherAPI, all),
		"by two":               w.exchanged(t, w.exchanged(t, narrow, otherAPI, all), third, all),
		"by a halt on the way": w.exchanged(t, w.exchanged(t, narrow, otherAPI, all), otherAPI, all),
		"by a narrower one":    w.exchanged(t, w.exchanged(t, narrow, api, "order:eu/1:read"), otherAPI, all),
	}
	for name, text := range ways {
		t.Run(name, func(t *testing.T) {
			w.form(t, "/token", "", "", exchanging(text, "scope", all)).is(t, "the way back is closed", 400, back)
		})
	}
	there := w.exchanged(t, ways["by two"], third, all)
	w.form(t, "/token", "", "", exchanging(there, "audience", otherAPI, "scope", all)).is(t, "nor is it open to where it halted", 400, back)
	if got := w.access(t, w.form(t, "/token", "", "", exchanging(narrow, "scope", all)))["scope"]; got != "order:eu/1:read" {
		t.Errorf("directly there is %q", got)
	}
	// A token without what says where it came from shows that it is this that closes the way.
	unmarked := w.sign(t, token.TypeAccess, otherAPI, func(c map[string]any) { c["scope"] = all })
	if got := w.access(t, w.form(t, "/token", "", "", exchanging(unmarked, "scope", all)))["scope"]; got != all {
		t.Errorf("a token that never was there gets %q", got)
	}
}

func TestATokenComesThroughFourAudiencesAtMost(t *testing.T) {
	names := []v1alpha1.Audience{"https://1.example.com", "https://2.example.com", "https://3.example.com", "https://4.example.com", "https://5.example.com"}
	w := startChain(t, names...)
	text := w.sign(t, token.TypeAccess, string(names[0]), nil)
	for _, next := range names[1:] {
		text = w.exchanged(t, text, string(next), "order:1:read")
	}
	verified, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeAccess)
	want := []string{string(names[0]), string(names[1]), string(names[2]), string(names[3])}
	if diff := cmp.Diff(want, verified.Through); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	w.form(t, "/token", "", "", exchanging(text)).is(t, "it would grow without end", 400,
		tokenProblem("INVALID_TARGET", "invalid_target", "the token came through too many audiences"))
}

// TestTheScopesOfATokenAreNotShedByTheIdentAPI goes around by its authorization of other audiences.
func TestTheScopesOfATokenAreNotShedByTheIdentAPI(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	narrow := w.sign(t, token.TypeAccess, provide, func(c map[string]any) { c["scope"] = "order:eu/1:read" })
	there := field(t, w.authorize(t, narrow, `{"aud":"`+api+`","scope":"order:eu/1:read,write"}`), "access_token")
	w.replace(func(input *snapshot.Input) {
		input.Policies = fixture.Policies(t, append(oauthPolicies(), fixture.Cluster("all", users("alice"), oauthRule("*", "exchange"), nil))...)
	})
	w.form(t, "/token", "", "", exchanging(there, "audience", provide, "scope", "order:eu/1:read,write")).is(t, "the way back is closed", 400, back)
	// And the other way: what came to the API by an exchange stays marked in what the API gives for it.
	came := w.exchanged(t, w.sign(t, token.TypeAccess, api, func(c map[string]any) { c["scope"] = "order:eu/1:read" }), provide, "order:eu/1:read,write")
	again := field(t, w.authorize(t, came, `{"scope":"order:eu/1:read,write"}`), "access_token")
	for name, text := range map[string]string{"at once": came, "after a halt": again} {
		w.json(t, "POST", "/api/v1/tokens", text, `{"aud":"`+api+`"}`).
			is(t, name, 403, message("the token came from one of this audience, and is not exchanged back"))
	}
}

// TestWhatIsDeniedToAPodIsDeniedToItsTokens has a Deny that goes by what a ServiceAccount's own token says, and no token of ours
// does.
func TestWhatIsDeniedToAPodIsDeniedToItsTokens(t *testing.T) {
	const pod = "authentication.kubernetes.io/pod-name"
	denials := map[string]string{
		"a pod of a name":            `subject.extra['` + pod + `'].exists(n, n.startsWith('untrusted-'))`,
		"any pod":                    `'` + pod + `' in subject.extra`,
		"any pod, asked another way": `has(subject.extra) && size(subject.extra) > 0`,
		"the account that was":       `subject.uid == 'u'`,
	}
	for name, expression := range denials {
		t.Run(name, func(t *testing.T) {
			w := startOAuth(t, func(_ *Options, _ *Parts, input *snapshot.Input) {
				builder := []v1alpha1.Subject{{Kind: v1alpha1.SubjectServiceAccount, Namespace: "ci", Name: "builder"}}
				deny := fixture.Cluster("deny", builder, typed("order", "**", "*"), func(spec *v1alpha1.ClusterAccessPolicySpec) {
					spec.Effect, spec.When = v1alpha1.EffectDeny, &v1alpha1.When{Expression: expression}
				})
				input.Policies = fixture.Policies(t, append(oauthPolicies(), deny)...)
			})
			bound := w.cluster.token(t, time.Hour, func(c map[string]any) {
				c["kubernetes.io"] = map[string]any{
					"namespace": "ci", "serviceaccount": map[string]any{"name": "builder", "uid": "u"}, "pod": map[string]any{"name": "untrusted-1", "uid": "p"},
				}
			})
			first := w.form(t, "/token", "", "", exchanging(bound))
			if got := w.access(t, first)["scope"]; got != "" {
				t.Fatalf("by its own token it gets %q", got)
			}
			// What it has is an access token without scopes. For its own audience that is the end of it; policies of others are asked.
			ours := w.sign(t, token.TypeAccess, otherAPI, func(c map[string]any) {
				c["sub"], c["tokenwright.dev/provider"] = "system:serviceaccount:ci:builder", "accounts"
			})
			if got := w.access(t, w.form(t, "/token", "", "", exchanging(ours)))["scope"]; got != "" {
				t.Errorf("by ours it gets %q", got)
			}
		})
	}
}

func TestAServiceAccountIsAskedOfTheProviderThatVouched(t *testing.T) {
	w := startOAuth(t, nil)
	ours := w.form(t, "/token", "", "", exchanging(w.cluster.token(t, time.Hour, nil))).text(t, "access_token")
	w.access(t, w.form(t, "/token", "", "", exchanging(ours)))
	w.replace(func(input *snapshot.Input) {
		kept := *input.Providers[1]
		kept.Name, kept.UID = "another", "another-uid"
		input.Providers = []*provider.Provider{input.Providers[0], &kept}
	})
	w.form(t, "/token", "", "", exchanging(ours)).
		is(t, "the other provider has not vouched", 400, tokenProblem("INVALID_REQUEST", "invalid_request", "the subject_token was not accepted"))
}

// TestTheAuditNamesTheTokenThatCame has a chain of tokens that somebody follows afterwards.
func TestTheAuditNamesTheTokenThatCame(t *testing.T) {
	w := startOAuth(t, nil)
	long := strings.Repeat("j", 300)
	w.access(t, w.form(t, "/token", "", "", exchanging(w.cluster.token(t, time.Hour, func(c map[string]any) { c["jti"] = long }))))
	ours := w.sign(t, token.TypeAccess, api, nil)
	w.access(t, w.form(t, "/token", "", "", exchanging(ours)))
	forged := w.cluster.token(t, time.Hour, func(c map[string]any) { c["jti"] = "not-proved" })
	w.form(t, "/token", "", "", exchanging(forged[:len(forged)-8]+"AAAAAAAA"))
	w.form(t, "/token", "", "", exchanging(ours, "audience", "nobody"))
	waitFor(t, "the refusals are in the audit log", func() bool { return strings.Contains(readFile(t, w.auditFile), `"UnknownAudience"`) })
	log := readFile(t, w.auditFile)
	for want, times := range map[string]int{
		`"subjectTokenID":"` + strings.Repeat("j", 128) + `…"`: 1,
		`"subjectTokenID":"abcdefghijklmnopqrstuvwxyz"`:        2, // also where the exchange was refused
		"subjectTokenID": 3,
		"not-proved":     0,
	} {
		if got := strings.Count(log, want); got != times {
			t.Errorf("%s is there %d times, want %d: %s", want, got, times, log)
		}
	}
}

// TestALoginWithATokenIsNoExchange: a ServiceAccount's token is a proof like a password, where no policy has exchange for it. What it
// gets lives as long as any token, and no longer.
func TestALoginWithATokenIsNoExchange(t *testing.T) {
	w := startOAuth(t, nil)
	account := w.cluster.token(t, 2*time.Minute, nil)
	w.form(t, "/token", "", "", exchanging(account, "audience", otherAPI)).
		is(t, "no policy has exchange for it", 400, tokenProblem("INVALID_TARGET", "invalid_target", "no policy lets the caller exchange a token for one of this audience"))
	for name, answer := range map[string]reply{
		"client_credentials": w.form(t, "/token", "x", account, values("grant_type", "client_credentials", "audience", otherAPI)),
		"password": w.form(t, "/token", "", "", values("grant_type", "password", "username", "x", "password", account, "audience", otherAPI,
			"access_type", "offline")),
		"Docker's GET": w.get(t, "x", account, values("service", service, "offline_token", "true")),
	} {
		body := fields(t, answer.body)
		if lives := body["expires_in"]; answer.status != 200 || lives != json.Number("900") || body["refresh_token"] != nil {
			t.Errorf("%s: %d, it lives for %v s, want tokenLifetime: %s", name, answer.status, lives, answer.body)
		}
	}
}
