package natsserver

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/caller"
	"github.com/tokenwright/tokenwright/tokenserver/policy"
)

// rule is a ClusterAccessPolicy about subjects.
func rule(t *testing.T, name string, effect v1alpha1.Effect, user string, action v1alpha1.Action, subjects ...v1alpha1.ResourceName) *policy.Policy {
	t.Helper()
	compiled, problems := policy.CompileClusterAccessPolicy(&v1alpha1.ClusterAccessPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterAccessPolicySpec{PolicySpec: v1alpha1.PolicySpec{
			Effect: effect, Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectUser, Name: user}},
			Rules: []v1alpha1.Rule{{Type: v1alpha1.TypeNATS, Names: subjects, Actions: []v1alpha1.Action{action}}},
		}},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return compiled
}

// world is a server whose clients have the permissions of policies. The name of a user is its token: how tokens are
// verified is not the matter here.
type world struct {
	*Server
	index *policy.Index
}

func (w *world) verify(user string) (string, []byte, error) {
	if user == "" {
		return "", nil, errors.New("nobody in particular")
	}
	p, err := w.index.NATS(policy.Request{Caller: caller.Caller{Username: user}, Audience: "nats", Time: time.Now()}, time.Minute)
	if err != nil {
		return "", nil, err
	}
	var c Claim
	c.Permissions.Publish, c.Permissions.Subscribe = Lists(p.Publish), Lists(p.Subscribe)
	text, err := json.Marshal(c)
	return user, text, err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{index: policy.NewIndex([]*policy.Policy{
		rule(t, "all", v1alpha1.EffectAllow, "root", "*", ">"),
		rule(t, "alice-publishes", v1alpha1.EffectAllow, "alice", "publish", "a.>", "b.*.c", "same"),
		rule(t, "alice-subscribes", v1alpha1.EffectAllow, "alice", "subscribe", "a.>", "user.${subject.username}"),
		rule(t, "alice-does-not", v1alpha1.EffectDeny, "alice", "*", "a.secret.>"),
		rule(t, "dave-does-not", v1alpha1.EffectDeny, "dave", "*", "a.secret.>"),
		rule(t, "bob-publishes", v1alpha1.EffectAllow, "bob", "publish", "a.b"),
		rule(t, "eve", v1alpha1.EffectAllow, "e>", "*", "a.${subject.username}"),
	})}
	w.Server = Start(t, w.verify)
	return w
}

func (w *world) connect(t *testing.T, user string) *nats.Conn {
	t.Helper()
	c, err := w.Connect(user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// refused says whether the server has complained about what was sent up to now: it answers in order.
func refused(t *testing.T, c *nats.Conn) bool {
	t.Helper()
	if err := c.FlushTimeout(deadline); err != nil {
		t.Fatal(err)
	}
	err := c.LastError()
	if err != nil && !errors.Is(err, nats.ErrPermissionViolation) {
		t.Fatal(err)
	}
	return err != nil
}

func TestServerEnforcesWhatPolicySays(t *testing.T) {
	w := newWorld(t)
	publish := func(c *nats.Conn, subject string) error { return c.Publish(subject, nil) }
	subscribe := func(c *nats.Conn, subject string) error {
		_, err := c.SubscribeSync(subject)
		return err
	}
	queue := func(c *nats.Conn, subject string) error {
		_, err := c.QueueSubscribeSync(subject, "q1")
		return err
	}
	cases := map[string]struct {
		user, subject string
		do            func(*nats.Conn, string) error
		refused       bool
	}{
		"publish below what is allowed":                      {"alice", "a.b", publish, false},
		"publish deep below what is allowed":                 {"alice", "a.b.c.d", publish, false},
		"publish the subject above":                          {"alice", "a", publish, true},
		"publish by a star":                                  {"alice", "b.x.c", publish, false},
		"publish what a star does not span":                  {"alice", "b.x.y.c", publish, true},
		"publish what a longer name hides":                   {"alice", "samesame", publish, true},
		"publish what is denied":                             {"alice", "a.secret.x", publish, true},
		"publish beside what is denied":                      {"alice", "a.secret", publish, false},
		"publish what may be subscribed to":                  {"alice", "user.alice", publish, true},
		"subscribe to one subject":                           {"alice", "a.b", subscribe, false},
		"subscribe to all of it":                             {"alice", "a.>", subscribe, false},
		"subscribe to oneself":                               {"alice", "user.alice", subscribe, false},
		"subscribe to somebody else":                         {"alice", "user.bob", subscribe, true},
		"subscribe to everybody":                             {"alice", "user.*", subscribe, true},
		"subscribe to everything":                            {"alice", ">", subscribe, true},
		"subscribe to what is denied":                        {"alice", "a.secret.>", subscribe, true},
		"subscribe to one of what is denied":                 {"alice", "a.secret.x", subscribe, true},
		"subscribe to what may be published":                 {"alice", "same", subscribe, true},
		"a queue group":                                      {"alice", "a.b", queue, false},
		"a queue group by wildcard":                          {"alice", "a.>", queue, false},
		"a queue group of everything":                        {"alice", ">", queue, true},
		"a queue group of what is denied":                    {"alice", "a.secret.x", queue, true},
		"nobody said that bob may subscribe":                 {"bob", "a.b", subscribe, true},
		"an inbox that nobody allowed":                       {"bob", "_INBOX.x.y", subscribe, true},
		"a queue group that nobody allowed":                  {"bob", "a.b", queue, true},
		"bob publishes":                                      {"bob", "a.b", publish, false},
		"somebody of whom no policy speaks publishes":        {"mallory", "a.b", publish, true},
		"somebody of whom no policy speaks subscribes":       {"mallory", "a.b", subscribe, true},
		"somebody of whom only a Deny speaks publishes":      {"dave", "a.b", publish, true},
		"somebody of whom only a Deny speaks subscribes":     {"dave", "a.b", subscribe, true},
		"one whose name is a wildcard publishes":             {"e>", "a.b", publish, true},
		"one whose name is a wildcard subscribes":            {"e>", "a.>", subscribe, true},
		"one who may do everything subscribes to it":         {"root", ">", subscribe, false},
		"one who may do everything publishes what is secret": {"root", "a.secret.x", publish, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			connection := w.connect(t, c.user)
			if err := c.do(connection, c.subject); err != nil {
				t.Fatal(err)
			}
			if got := refused(t, connection); got != c.refused {
				t.Errorf("refused: got %v, want %v", got, c.refused)
			}
		})
	}
}

// TestDeniedMessagesAreNotDelivered subscribes to more than the Deny takes away: the rest comes, what is denied does not.
func TestDeniedMessagesAreNotDelivered(t *testing.T) {
	w := newWorld(t)
	root := w.connect(t, "root")
	for _, group := range []string{"", "q1"} {
		alice := w.connect(t, "alice")
		subscription, err := alice.QueueSubscribeSync("a.>", group)
		if group == "" {
			subscription, err = alice.SubscribeSync("a.>")
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := alice.FlushTimeout(deadline); err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"a.secret.x", "a.secret.y.z", "a.last"} {
			if err := root.Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
		}
		got, err := subscription.NextMsg(deadline)
		if err != nil {
			t.Fatal(err)
		}
		if got.Subject != "a.last" {
			t.Errorf("queue group %q: alice got %s", group, got.Subject)
		}
	}
}

// TestAClaimWithoutListsIsNone: NATS would read it as everything, and this package must not hide that our tokens say otherwise.
func TestAClaimWithoutListsIsNone(t *testing.T) {
	for name, claim := range map[string]string{
		"no permissions": `{}`,
		"empty lists":    `{"permissions":{"publish":{"allow":[]},"subscribe":{"allow":[],"deny":[]}}}`,
		"one side only":  `{"permissions":{"publish":{"deny":[">"]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := Start(t, func(string) (string, []byte, error) { return "eve", []byte(claim), nil })
			if c, err := s.Connect("eve"); !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("got %v, %v", c, err)
			}
		})
	}
}

func TestNobodyIsRefused(t *testing.T) {
	if c, err := newWorld(t).Connect(""); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("got %v, %v", c, err)
	}
}
