package cmd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeyIDsThatLookLikeFlags(t *testing.T) {
	const id = "-Vt8Y7u31WJ9daUuCh6T6Xhe1NjtcRogm7xBTHaR6c0"
	cases := map[string]struct {
		reason     string
		args, want []string
	}{
		"A thumbprint that begins with a hyphen": {
			"it is a key id, whatever it looks like", []string{"keys", "activate", "registry", id, "--wait"},
			[]string{"keys", "activate", "registry", "--wait", "--", id},
		},
		"Flags alone": {
			"they stay where they are", []string{"keys", "list", "-o", "wide", "--namespace=x"}, []string{"keys", "list", "-o", "wide", "--namespace=x"},
		},
		"Somebody who says so": {
			"is believed", []string{"keys", "revoke", "registry", "--", id}, []string{"keys", "revoke", "registry", "--", id},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, withKeyIDs(tc.args)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
