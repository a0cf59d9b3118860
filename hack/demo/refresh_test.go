package main

import (
	"encoding/base64"
	"testing"
)

// TestOnlyARefusalIsOne: a server that is down or busy, or gives a token of no use, has not refused a refresh token.
func TestOnlyARefusalIsOne(t *testing.T) {
	pull := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"access":[{"name":"team-a/app","actions":["pull"]}]}`)) + ".x"
	cases := map[string]struct {
		answer        answer
		good, refused bool
	}{
		"a token with what alice may have": {answer{Status: 200, Token: pull}, true, false},
		"a token with nothing":             {answer{Status: 200, Token: "e30.e30.x"}, false, false},
		"a refusal":                        {answer{Status: 401}, false, true},
		"another error of the client's":    {answer{Status: 400}, false, false},
		"too many requests":                {answer{Status: 429}, false, false},
		"an error of the server's":         {answer{Status: 500}, false, false},
		"a server that is not ready":       {answer{Status: 503}, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := [2]bool{c.answer.refreshed(true), c.answer.refreshed(false)}; got != [2]bool{c.good, c.refused} {
				t.Errorf("good and refused: got %v", got)
			}
		})
	}
}
