package tokenserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// described runs a server whose policies say the value of alice, in the claim prvd.
func described(t *testing.T, value string) *oauthWorld {
	t.Helper()
	return startIdent(t, v1alpha1.EdDSA, func(_ *Options, _ *Parts, input *snapshot.Input) {
		input.Policies = fixture.Policies(t, fixture.Cluster("prvd", users("alice"), typed("order", "none", "none"), prvd(value)))
	})
}

// TestIdentUser holds the user of a login to the body that Provide's clients know, whatever policies say and leave out.
func TestIdentUser(t *testing.T) {
	const unknown = `{
    "id": "alice",
    "created_at": null,
    "name": "alice",
    "first_name": "",
    "last_name": "",
    "email": "alice",
    "permissions": 0,
    "privacy_policy_agreed_at": null,
    "terms_of_service_agreed_at": null,
    "metadata": {}
}`
	cases := map[string]struct{ reason, value, want string }{
		"All that there is": {
			"they are the caller's own", `{"permissions":415,"data":{
				"created_at":"2026-01-02T03:04:05Z","name":"A <B>","first_name":"A","last_name":"B","privacy_policy_agreed_at":"2026-02-03T04:05:06.7+01:00",
				"terms_of_service_agreed_at":"2026-03-04T05:06:07Z","metadata":{"seat":17,"of":{"row":null}},"email":"eve@example.com","id":"eve","permissions":1}}`,
			`{
    "id": "alice",
    "created_at": "2026-01-02T03:04:05Z",
    "name": "A <B>",
    "first_name": "A",
    "last_name": "B",
    "email": "alice",
    "permissions": 415,
    "privacy_policy_agreed_at": "2026-02-03T04:05:06.7+01:00",
    "terms_of_service_agreed_at": "2026-03-04T05:06:07Z",
    "metadata": {
        "of": {
            "row": null
        },
        "seat": 17
    }
}`,
		},
		"Other types": {
			"nobody is kept from logging in", `{"permissions":"415","data":{
				"created_at":1,"name":["a"],"first_name":1,"last_name":{},"privacy_policy_agreed_at":true,"terms_of_service_agreed_at":{},"metadata":"x"}}`,
			unknown,
		},
		"Times that are none": {
			"clients could not decode them", `{"data":{
				"created_at":"yesterday","privacy_policy_agreed_at":"2026-02-30T00:00:00Z","terms_of_service_agreed_at":"2026-01-01T00:00:00+24:00"}}`,
			unknown,
		},
		"Nulls":                     {"they say nothing", `{"permissions":null,"data":{"created_at":null,"name":null,"first_name":null,"metadata":null}}`, unknown},
		"A list for data":           {"it has no members", `{"data":["name"]}`, unknown},
		"No data":                   {"nobody has to give any", `{}`, unknown},
		"A claim that is no object": {"other services may read it so", `7`, unknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := described(t, tc.value)
			answer := w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"email":"alice","password":"secret"}`)
			if answer.status != http.StatusCreated {
				t.Fatalf("%s: status %d: %s", tc.reason, answer.status, answer.body)
			}
			token, _ := created(t, answer)["token"].(map[string]any)
			permissions := fields(t, []byte(tc.want))["permissions"]
			want := fmt.Sprintf("{\n    \"user\": %s,\n    \"token\": {\n        \"id\": %q,\n        \"access_token\": %q,\n        \"expires_in\": 900,\n        \"permissions\": %v\n    }\n}\n",
				strings.ReplaceAll(tc.want, "\n", "\n    "), token["id"], token["access_token"], permissions)
			if diff := cmp.Diff(want, string(answer.body)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			// As the client in Go has it: times are pointers or times, and metadata is a map.
			var client struct {
				User struct {
					CreatedAt      time.Time      `json:"created_at"`
					FirstName      string         `json:"first_name"`
					LastName       string         `json:"last_name"`
					PrivacyPolicy  *time.Time     `json:"privacy_policy_agreed_at"`
					TermsOfService *time.Time     `json:"terms_of_service_agreed_at"`
					Metadata       map[string]any `json:"metadata"`
				}
			}
			if err := json.Unmarshal(answer.body, &client); err != nil || client.User.Metadata == nil {
				t.Errorf("a client reads %+v: %v", client, err)
			}
		})
	}
}

// TestIdentUserByName logs in without an email: there is the member all the same.
func TestIdentUserByName(t *testing.T) {
	w := described(t, `{"data":{"metadata":null}}`)
	got := created(t, w.json(t, http.MethodPost, "/api/v1/authenticate", "", `{"username":"bob","password":"hunter2"}`))["user"]
	want := map[string]any{
		"id": "bob", "created_at": nil, "name": "bob", "first_name": "", "last_name": "", "email": "", "permissions": json.Number("0"),
		"privacy_policy_agreed_at": nil, "terms_of_service_agreed_at": nil, "metadata": map[string]any{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestIdentLoginByABearer: Provide let whoever had an application's bearer log in as anybody, without a password. Nobody is
// somebody else by a bearer here, and what comes beside a password changes nothing.
func TestIdentLoginByABearer(t *testing.T) {
	w := startIdent(t, v1alpha1.EdDSA, nil)
	session := w.bearer(t, "alice", "secret")
	application := field(t, w.authorize(t, session, `{"application_id":"app-1"}`), "access_token")
	if _, claims := says(t, application); claims["exp"] != nil {
		t.Fatalf("it is no application's token: %v", claims)
	}
	before := strings.Count(readFile(t, w.auditFile), `"outcome":"issued"`)
	const missing, refused = "email or username, and password, must be given", "the credentials were not accepted"
	cases := map[string]struct {
		reason, bearer, body string
		status               int
		message              string
	}{
		"Somebody else":                         {"it is impersonation", application, `{"email":"bob"}`, 422, missing},
		"Somebody else, by an empty password":   {"that is none", application, `{"email":"bob","password":""}`, 422, missing},
		"Somebody else, by a null password":     {"that is none", application, `{"email":"bob","password":null}`, 422, missing},
		"Somebody else of the application":      {"policies say what a user is, and no bearer does", application, `{"email":"bob","application_id":"app-1"}`, 422, missing},
		"Somebody else, by a session":           {"no bearer is better than another", session, `{"email":"bob"}`, 422, missing},
		"The bearer itself":                     {"a login proves a password; POST /api/v1/tokens takes bearers", application, `{"email":"alice"}`, 422, missing},
		"Somebody else, by a wrong password":    {"the bearer does not help", application, `{"email":"bob","password":"wrong"}`, 401, refused},
		"Somebody else, by the bearer's":        {"the password is looked at for the user", application, `{"email":"bob","password":"secret"}`, 401, refused},
		"Somebody else, the bearer as password": {"a token is no password", "", `{"email":"bob","password":"` + application + `"}`, 401, refused},
		"The application, by its bearer":        {"bob is not of it", application, `{"email":"bob","password":"hunter2","application_id":"app-1"}`, 403, "forbidden"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w.json(t, http.MethodPost, "/api/v1/authenticate", tc.bearer, tc.body).is(t, tc.reason, tc.status, message(tc.message))
		})
	}
	if got := strings.Count(readFile(t, w.auditFile), `"outcome":"issued"`); got != before {
		t.Errorf("%d tokens were issued", got-before)
	}
	own := created(t, w.json(t, http.MethodPost, "/api/v1/authenticate", application, `{"email":"bob","password":"hunter2"}`))
	token, _ := own["token"].(map[string]any)
	if _, claims := says(t, field(t, token, "access_token")); claims["sub"] != "bob" || claims["prvd"] != nil {
		t.Errorf("bob's own login beside the bearer got %v", claims)
	}
}
