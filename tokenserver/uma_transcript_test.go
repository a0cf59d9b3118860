package tokenserver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

var updateTranscripts = flag.Bool("update-transcripts", false, "write what the server answers in place of the transcripts")

// transcript is what was asked and answered, with names in the place of what differs each time.
type transcript struct {
	*umaWorld
	text bytes.Buffer
	// pat is the resource server's own token.
	pat string
	// names are of what was sent.
	names []string
}

// as remembers what a text is called.
func (w *transcript) as(name, text string) string {
	w.names = append(w.names, text, "<"+name+">")
	return text
}

var (
	tokenInText = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+`)
	timeInText  = regexp.MustCompile(`"(exp|nbf|iat|expires_in)":\d+`)
	idInText    = regexp.MustCompile(`"jti":"[a-z2-7]{26}"`)
)

// hide puts names in the place of what differs, and behind an answer what its token says.
func (w *transcript) hide(text string) string {
	text = strings.NewReplacer(w.names...).Replace(text)
	var says []string
	text = tokenInText.ReplaceAllStringFunc(text, func(found string) string {
		payload, err := base64.RawURLEncoding.DecodeString(tokenInText.FindStringSubmatch(found)[1])
		if err != nil {
			return found
		}
		says = append(says, strings.NewReplacer(w.names...).Replace(string(payload)))
		return "<token>"
	})
	text = timeInText.ReplaceAllString(text+strings.Join(append([]string{""}, says...), "\n<token>: "), `"$1":0`)
	return idInText.ReplaceAllString(text, `"jti":"<id>"`)
}

func (w *transcript) form(t *testing.T, title, user, path string, form url.Values) {
	t.Helper()
	passwords := map[string]string{"alice": "secret", "bob": "hunter2", "rs": "rs-secret"}
	name, password, authorization := user, passwords[user], "Basic <"+user+">"
	if password == "" && user != "" {
		name, password, authorization = "bearer", user, "Bearer "+user
	}
	answer := w.umaWorld.form(t, path, name, password, form)
	var lines []string
	for key, list := range form {
		for _, value := range list {
			lines = append(lines, key+"="+value)
		}
	}
	slices.Sort(lines)
	w.exchange(title, http.MethodPost+" "+path, authorization, strings.Join(lines, "\n"), answer)
}

func (w *transcript) older(t *testing.T, title, bearer, method, path, body string) {
	t.Helper()
	authorization := ""
	if bearer != "" {
		authorization = "Bearer " + bearer
	}
	w.exchange(title, method+" "+path, authorization, body, w.json(t, method, path, bearer, body))
}

func (w *transcript) exchange(title, request, authorization, body string, answer reply) {
	lines := w.hide(request)
	if authorization != "" {
		lines += "\nAuthorization: " + w.hide(authorization)
	}
	if body != "" {
		lines += "\n\n" + w.hide(body)
	}
	fmt.Fprintf(&w.text, "## %s\n\n%s\n\n%d\n", title, lines, answer.status)
	if challenge := answer.header.Get("WWW-Authenticate"); challenge != "" {
		fmt.Fprintf(&w.text, "WWW-Authenticate: %s\n", w.hide(challenge))
	}
	if location := answer.header.Get("Location"); location != "" {
		fmt.Fprintf(&w.text, "Location: %s\n", w.hide(location))
	}
	fmt.Fprintf(&w.text, "\n%s\n\n", w.hide(strings.TrimSpace(string(answer.body))))
}

// TestTheEnforcersFlow sends what Keycloak's documentation of its authorization services has clients and policy enforcers send,
// and compares the answers with those of testdata, which has one file for each spelling.
func TestTheEnforcersFlow(t *testing.T) {
	for name, keycloak := range map[string]bool{"kantara": false, "keycloak": true} {
		t.Run(name, func(t *testing.T) {
			w := &transcript{umaWorld: startUMA(t, func(options *Options, _ *Parts, _ *snapshot.Input) { options.UMAKeycloak = keycloak })}
			w.flow(t)
			w.refusals(t)
			w.compare(t, "uma-"+name+".txt")
		})
	}
}

// compare holds the transcript against a file of testdata.
func (w *transcript) compare(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *updateTranscripts {
		if err := os.WriteFile(file, w.text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.text.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// asked is the ticket that the resource server asks for.
func (w *transcript) asked(t *testing.T, permissions ...token.Permission) string {
	t.Helper()
	type wanted struct {
		ID     string              `json:"resource_id"`
		Scopes []string            `json:"resource_scopes,omitempty"`
		Claims map[string][]string `json:"claims,omitempty"`
	}
	var list []wanted
	for _, p := range permissions {
		list = append(list, wanted{p.ID, p.Scopes, p.Claims})
	}
	body, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if w.pat == "" {
		w.pat = w.aat(t, "rs", "rs-secret", api, "uma_protection")
	}
	answer := w.json(t, http.MethodPost, "/authz/protection/permission", w.pat, string(body))
	ticket, _ := fields(t, answer.body)["ticket"].(string)
	if answer.status != http.StatusCreated || ticket == "" {
		t.Fatalf("no ticket: %d %s", answer.status, answer.body)
	}
	return ticket
}

func (w *transcript) flow(t *testing.T) {
	alice := w.as("access token of alice", w.aat(t, "alice", "secret", api, "uma_authorization"))
	w.form(t, "A ticket for a requesting party token", alice, "/token",
		umaForm("ticket", w.as("ticket", w.asked(t, reads("orders/eu-1")...))))
	w.form(t, "Permissions by name and scope", alice, "/token", umaForm("permission", "Order 1#read", "permission", "Order 2#read"))
	w.form(t, "All permissions at a resource server", alice, "/token", umaForm())
	w.form(t, "A decision", alice, "/token", umaForm("permission", "Order 1#read", "response_mode", "decision"))
	w.form(t, "Permissions without a token", alice, "/token", umaForm("permission", "Order 1", "response_mode", "permissions"))
	w.form(t, "Every resource with a scope", alice, "/token", umaForm("permission", "#read", "response_mode", "permissions"))
	w.form(t, "A resource by its path", alice, "/token", umaForm(
		"permission", "/orders/17#read", "permission_resource_format", "uri", "permission_resource_matching_uri", "true", "response_mode", "permissions"))
	w.form(t, "What the resource server says of the request", "bob", "/token", umaForm("response_mode", "permissions",
		"ticket", w.as("ticket with claims", w.asked(t, token.Permission{ID: "orders/eu-2", Claims: map[string][]string{"ward": {"7"}}}))))
	rpt := w.as("rpt of alice", w.umaWorld.form(t, "/token", "bearer", alice, umaForm("permission", "Order 1#read")).text(t, "access_token"))
	w.form(t, "An upgrade", alice, "/token", umaForm("permission", "Order 2", "rpt", rpt))
	w.form(t, "Introspection", "rs", "/introspect", values("token", rpt, "token_type_hint", "requesting_party_token"))
	w.older(t, "UMA 1: a ticket", alice, http.MethodPost, "/authz/authorize", `{"ticket":"`+w.as("ticket for UMA 1", w.asked(t, reads("orders/eu-1")...))+`"}`)
	w.older(t, "UMA 1: entitlement", alice, http.MethodPost, "/authz/entitlement/"+url.PathEscape(api),
		`{"permissions":[{"resource_set_name":"Order 1","scopes":["read"]}]}`)
}

func (w *transcript) refusals(t *testing.T) {
	alice := w.aat(t, "alice", "secret", api, "uma_authorization")
	w.as("access token of alice", alice)
	bob := w.as("access token of bob", w.aat(t, "bob", "hunter2", api, "uma_authorization"))
	ticket := func(name, id, scope string) string {
		return w.as(name, w.asked(t, token.Permission{ID: id, Scopes: []string{scope}}))
	}
	used := ticket("ticket that was used", "orders/eu-1", "read")
	w.umaWorld.form(t, "/token", "bearer", alice, umaForm("ticket", used))
	w.form(t, "Denied", bob, "/token", umaForm("ticket", ticket("ticket to be denied", "orders/eu-1", "read")))
	w.form(t, "Denied, where an owner could be asked", bob, "/token", umaForm("ticket", ticket("ticket of the beach", "beach", "view")))
	w.form(t, "Denied, and the owner is asked", bob, "/token", umaForm("ticket", ticket("another ticket of the beach", "beach", "view"), "submit_request", "true"))
	w.form(t, "Denied, and the owner is not to be asked", bob, "/token", umaForm("ticket", ticket("third ticket of the beach", "beach", "view"), "submit_request", "false"))
	w.form(t, "A ticket that was used", alice, "/token", umaForm("ticket", used))
	w.form(t, "An rpt that is none", alice, "/token", umaForm("rpt", "x"))
	w.form(t, "An unknown resource", alice, "/token", umaForm("permission", "none"))
	w.form(t, "An unknown scope", alice, "/token", umaForm("permission", "Order 1#fly"))
	w.form(t, "An unknown resource server", alice, "/token", umaForm("audience", "none"))
	w.form(t, "An unknown response mode", alice, "/token", umaForm("response_mode", "none"))
	w.form(t, "A token that proves nothing", w.as("rpt of bob", w.sign(t, token.TypeRPT, api, nil)), "/token", umaForm())
	w.form(t, "A token without the scope", w.as("token without the scope", w.aat(t, "bob", "hunter2", api, "")), "/token", umaForm())
	w.older(t, "UMA 1: denied", bob, http.MethodPost, "/authz/authorize", `{"ticket":"`+ticket("ticket for UMA 1 to be denied", "orders/eu-1", "read")+`"}`)
}
