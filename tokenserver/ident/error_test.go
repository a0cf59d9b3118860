package ident

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// TestEveryKindOfErrorHasItsStatus, and a body that holds the message and never the cause.
func TestEveryKindOfErrorHasItsStatus(t *testing.T) {
	kinds := map[grant.Kind]int{
		grant.BadCredentials: 401, grant.BadClient: 401, grant.TooManyRequests: 429, grant.NotAllowed: 403, grant.Unavailable: 503,
		grant.InvalidRequest: 400, grant.UnknownAudience: 400, grant.InvalidScope: 422, grant.UnsupportedGrant: 422,
		grant.Kind("one that comes later"): 500,
	}
	for kind, want := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			err := translate(&grant.Error{Kind: kind, Message: "public", Cause: errors.New("private"), RetryAfter: time.Second})
			var e *httpx.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			w := httptest.NewRecorder()
			WriteError(w, nil, e)
			body := "{\n    \"message\": \"public\"\n}\n"
			if want == http.StatusInternalServerError {
				body = "{\n    \"message\": \"internal error\"\n}\n"
			}
			got := []any{w.Code, w.Body.String(), w.Header().Get("Cache-Control"), w.Header().Get("WWW-Authenticate") != ""}
			if diff := cmp.Diff([]any{want, body, "no-store", want == http.StatusUnauthorized}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
