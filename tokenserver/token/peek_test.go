package token

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPeek(t *testing.T) {
	with := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	type want struct {
		Claimed Claimed
		OK      bool
	}
	cases := map[string]struct {
		reason, text string
		want         want
	}{
		"Issuer and expiry":       {"both are there", with(`{"iss":"a","exp":100}`), want{Claimed{Issuer: "a", Expires: time.Unix(100, 0)}, true}},
		"A fraction of a second":  {"RFC 7519 allows it; the token must not live longer", with(`{"iss":"a","exp":100.9}`), want{Claimed{Issuer: "a", Expires: time.Unix(100, 0)}, true}},
		"An expiry in capitals":   {"verifiers read exp", with(`{"exp":100,"EXP":9999999999,"Exp":9999999999}`), want{Claimed{Expires: time.Unix(100, 0)}, true}},
		"No expiry":               {"nothing is said", with(`{"iss":"a"}`), want{Claimed{Issuer: "a"}, true}},
		"An expiry before 1970":   {"nobody means it", with(`{"exp":-5}`), want{Claimed{}, true}},
		"An expiry past all time": {"it would overflow", with(`{"exp":1e300}`), want{Claimed{}, true}},
		"An expiry that is text":  {"RFC 7519: a number", with(`{"exp":"100"}`), want{}},
		"An id":                   {"for the audit record", with(`{"iss":"a","jti":"x"}`), want{Claimed{Issuer: "a", ID: "x"}, true}},
		"An id that is no text":   {"it names nothing", with(`{"iss":"a","jti":{"a":1}}`), want{Claimed{Issuer: "a"}, true}},
		"Two parts":               {"no JWS", "e30.e30", want{}},
		"Four parts":              {"no JWS", "e30.e30.e30.e30", want{}},
		"A payload that is text":  {"no claims", with("text"), want{}},
		"Not base64url":           {"no claims", "e30.%%%.c2ln", want{}},
		"Too long":                {"nobody signs that much", strings.Repeat("a", MaxVerified) + ".e30.", want{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claimed, ok := Peek(tc.text)
			if diff := cmp.Diff(tc.want, want{claimed, ok}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// FuzzPeek holds that whatever somebody sends is read without harm, and that no expiry is later than the one it says.
func FuzzPeek(f *testing.F) {
	f.Add("e30.eyJpc3MiOiJhIiwiZXhwIjoxMDB9.c2ln")
	f.Add("e30.eyJleHAiOjFlMzAwfQ.")
	f.Add("...")
	f.Fuzz(func(t *testing.T, text string) {
		claimed, ok := Peek(text)
		if !ok && claimed != (Claimed{}) {
			t.Errorf("%+v was read of what is no token", claimed)
		}
		if claimed.Expires.Unix() > latest {
			t.Errorf("expires = %s", claimed.Expires)
		}
	})
}

func TestNumbersOfAnIDTokenKeepTheirValue(t *testing.T) {
	cases := map[string]struct {
		reason, json string
		want         any
	}{
		"A small integer":         {"", `7`, int64(7)},
		"Past what a float holds": {"it must not become its neighbour", `9007199254740993`, int64(9007199254740993)},
		"The least":               {"", `-9223372036854775808`, int64(-9223372036854775808)},
		"The largest":             {"", `18446744073709551615`, uint64(18446744073709551615)},
		"One more":                {"it is equal to no number", `18446744073709551616`, "18446744073709551616"},
		"One less than the least": {"", `-9223372036854775809`, "-9223372036854775809"},
		"A fraction":              {"", `1.5`, 1.5},
		"An exponent":             {"", `1e3`, 1000.0},
		"Past all floats":         {"", `1e400`, "1e400"},
		"Deep inside":             {"", `{"a":[{"b":9007199254740993}]}`, map[string]any{"a": []any{map[string]any{"b": int64(9007199254740993)}}}},
		"A text":                  {"it stays one", `"9007199254740993"`, "9007199254740993"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			claims, ok := Payload("e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"n":`+tc.json+`}`)) + ".c2ln")
			if diff := cmp.Diff(tc.want, claims["n"]); diff != "" || !ok {
				t.Errorf("%s ok = %v (-want +got):\n%s", tc.reason, ok, diff)
			}
		})
	}
	for _, payload := range []string{`{"n":1} {}`, `{"n":1,"n":2}`, `[1]`, `{"n":`} {
		if claims, ok := Payload("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"); ok {
			t.Errorf("%s is read as %v", payload, claims)
		}
	}
}
