// Package natsserver runs a real NATS server in this process, for tests: one that asks an authorization service about each
// client (auth callout) and enforces what that answers. It owns how the claim `nats` of our tokens becomes a user JWT of
// NATS; who a token is from, the test says.
package natsserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Claim is the claim `nats` of a token, as whoever reads it has to.
type Claim struct {
	Permissions struct {
		Publish   Lists `json:"publish"`
		Subscribe Lists `json:"subscribe"`
		Responses *struct {
			Max int           `json:"max"`
			TTL time.Duration `json:"ttl"`
		} `json:"responses"`
	} `json:"permissions"`
}

// Lists are subjects.
type Lists struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// Verify says whose token it is and what its claim `nats` says, in JSON; it refuses others with an error.
type Verify func(token string) (username string, claim []byte, err error)

// Server is a running server.
type Server struct {
	url    string
	verify Verify
	issuer nkeys.KeyPair
}

const (
	account  = "APP"
	callout  = "AUTH"
	service  = "service"
	password = "of the service, in this process only"
	deadline = 10 * time.Second
)

// Start runs a server until the test ends.
func Start(t *testing.T, verify Verify) *Server {
	t.Helper()
	issuer, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	public, err := issuer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	auth, app := server.NewAccount(callout), server.NewAccount(account)
	running, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		MaxControlLine: 16 << 10, // a token of ours may have 7 KiB, and it comes in CONNECT
		Accounts:       []*server.Account{auth, app},
		Users:          []*server.User{{Username: service, Password: password, Account: auth}},
		AuthCallout:    &server.AuthCallout{Issuer: public, Account: callout, AuthUsers: []string{service}},
	})
	if err != nil {
		t.Fatal(err)
	}
	go running.Start()
	t.Cleanup(running.Shutdown)
	if !running.ReadyForConnections(deadline) {
		t.Fatal("the NATS server did not come up")
	}
	s := &Server{url: running.ClientURL(), verify: verify, issuer: issuer}
	connection, err := nats.Connect(s.url, nats.UserInfo(service, password))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	if _, err := connection.Subscribe(server.AuthCalloutSubject, s.answer); err != nil {
		t.Fatal(err)
	}
	if err := connection.FlushTimeout(deadline); err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is the authorization service.
func (s *Server) answer(m *nats.Msg) {
	request, err := jwt.DecodeAuthorizationRequestClaims(string(m.Data))
	if err != nil {
		return // the client is refused when nobody answers
	}
	response := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	response.Audience = request.Server.ID
	if response.Jwt, err = s.user(request.UserNkey, request.ConnectOptions.Token); err != nil {
		response.Jwt, response.Error = "", err.Error()
	}
	if text, err := response.Encode(s.issuer); err == nil {
		m.Respond([]byte(text)) //nolint:errcheck // the client is refused when nobody answers
	}
}

// user is the user JWT of whoever brought the token.
func (s *Server) user(key, token string) (string, error) {
	username, claim, err := s.verify(token)
	if err != nil {
		return "", err
	}
	var of Claim
	if err := json.Unmarshal(claim, &of); err != nil {
		return "", fmt.Errorf("the claim nats: %w", err)
	}
	user := jwt.NewUserClaims(key)
	user.Name, user.Audience = username, account
	if user.Pub, err = permission(of.Permissions.Publish); err != nil {
		return "", fmt.Errorf("the claim nats: publish: %w", err)
	}
	if user.Sub, err = permission(of.Permissions.Subscribe); err != nil {
		return "", fmt.Errorf("the claim nats: subscribe: %w", err)
	}
	if r := of.Permissions.Responses; r != nil {
		user.Resp = &jwt.ResponsePermission{MaxMsgs: r.Max, Expires: r.TTL}
	}
	return user.Encode(s.issuer)
}

// errNoLists is a claim that would let its bearer do everything: NATS reads two empty lists so.
var errNoLists = errors.New("neither allow nor deny says anything")

// permission is what the token says, word for word: that nobody gets everything by an empty list is for the token to see to, so
// that a server in a test does what such a token lets it.
func permission(l Lists) (jwt.Permission, error) {
	if len(l.Allow) == 0 && len(l.Deny) == 0 {
		return jwt.Permission{}, errNoLists
	}
	return jwt.Permission{Allow: l.Allow, Deny: l.Deny}, nil
}

// Connect connects with the token. What the server complains of later is the connection's last error.
func (s *Server) Connect(token string) (*nats.Conn, error) {
	return nats.Connect(s.url, nats.Token(token), nats.NoReconnect(), nats.Timeout(deadline),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
}
