package tokenserver

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/natsserver"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// TestIdentNATS connects to a real NATS server with tokens of the API: what policy grants passes, and nothing else.
func TestIdentNATS(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	server := natsserver.Start(t, func(text string) (string, []byte, error) {
		verified, err := w.snapshots.Load().Verify(text, issuerName, time.Now(), token.TypeAccess)
		if err != nil {
			return "", nil, err
		}
		var claims struct {
			NATS json.RawMessage `json:"nats"`
		}
		if err := json.Unmarshal(verified.Claims, &claims); err != nil || claims.NATS == nil {
			return "", nil, errors.New("the token says nothing of NATS")
		}
		return verified.Subject, claims.NATS, nil
	})
	alice := field(t, w.login(t, "alice", "secret", "nats"), "access_token")
	bob := field(t, w.login(t, "bob", "hunter2", "nats"), "access_token")
	publish := func(c *nats.Conn, subject string) error { return c.Publish(subject, nil) }
	subscribe := func(c *nats.Conn, subject string) error {
		_, err := c.QueueSubscribeSync(subject, "q")
		return err
	}
	cases := map[string]struct {
		token, subject string
		do             func(*nats.Conn, string) error
		refused        bool
	}{
		"alice publishes":                        {alice, "axiom.a.b", publish, false},
		"alice publishes what is denied":         {alice, "axiom.secret.b", publish, true},
		"alice publishes elsewhere":              {alice, "user.alice.b", publish, true},
		"alice hears of herself":                 {alice, "user.alice.>", subscribe, false},
		"alice hears of bob":                     {alice, "user.bob.x", subscribe, true},
		"alice hears of everybody":               {alice, "user.*.x", subscribe, true},
		"bob, of whom no policy speaks":          {bob, "axiom.a", publish, true},
		"bob, of whom no policy speaks, listens": {bob, "axiom.a", subscribe, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			connection, err := server.Connect(c.token)
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			if err := c.do(connection, c.subject); err != nil {
				t.Fatal(err)
			}
			if err := connection.FlushTimeout(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			if err := connection.LastError(); errors.Is(err, nats.ErrPermissionViolation) != c.refused {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := server.Connect(w.bearer(t, "alice", "secret")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a token without the claim: %v", err)
	}
}
