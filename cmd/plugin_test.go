package cmd

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/controlplane"
)

// Ids of recorded tokens.
const (
	pluggedToken    = "0-8-hhhhhhhhhhhhhhhhhhhhhhhhhh"
	revokedByPlugin = "0-7-gggggggggggggggggggggggggg"
)

// testPlugin runs the real kubectl with the real program in its path, as `make build` names it.
func (b *keysBench) testPlugin(t *testing.T) {
	folder := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "tokenwright"), ".")
	build.Dir = controlplane.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v: %s", err, out)
	}
	if err := os.Symlink("tokenwright", filepath.Join(folder, pluginFile)); err != nil {
		t.Fatal(err)
	}
	// What the documentation says for completion.
	script := "#!/bin/sh\nexec kubectl-tokenwright __complete \"$@\"\n"
	if err := os.WriteFile(filepath.Join(folder, "kubectl_complete-tokenwright"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	b.static(t, "plugged", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()[2:]})
	b.issuedBy(t, "plugin", pluggedToken, "alice", time.Hour)
	b.issuedBy(t, "other", revokedByPlugin, "bob", time.Hour)
	cases := map[string]struct {
		reason string
		args   []string
		want   output
	}{
		"list": {
			"the plugin finds the cluster as kubectl does", []string{"tokenwright", "keys", "list", "plugged", "-n", unmanaged, "-o", "name"},
			output{0, libTrust256 + "\nstandby\nnext\n", ""},
		},
		"a mistake": {
			"what is proposed can be typed", []string{"tokenwright", "keys", "activate", "plugged", "standby", "-n", unmanaged},
			output{1, "", "error: SigningKey \"plugged\" has rotation.mode Automatic, in which nobody names the next key; to ask for the next one: kubectl tokenwright keys rotate plugged --namespace=unmanaged\n"},
		},
		"help": {
			"usage and examples say what was typed", []string{"tokenwright", "keys", "activate", "--help"},
			output{0, `Let the standby of a SigningKey in mode Manual sign, when those who verify know it. The key is named by its id in any
format. One that was not public for long enough signs as soon as it was: publishAhead and a minute for the clocks.

Usage:
  kubectl tokenwright keys activate NAME KEYID [flags]

Examples:
  kubectl tokenwright keys activate registry "$(kubectl tokenwright keys list registry --state=Published -o name)"
`, ""},
		},
		"list of tokens": {
			"the tokens of the cluster that kubectl speaks to", []string{"tokenwright", "tokens", "list", "--client=plugin", "-n", unmanaged, "-o", "name"},
			output{0, pluggedToken + "\n", ""},
		},
		"table of tokens": {
			"", []string{"tokenwright", "tokens", "list", "--client=plugin", "-n", unmanaged},
			output{0, "ID                               SUBJECT   TYPE           AUDIENCE               CLIENT   STATE   CREATED", ""},
		},
		"help of tokens": {
			"commands are called as they were typed", []string{"tokenwright", "tokens", "--help"},
			output{0, `List recorded tokens, and revoke tokens.

Recorded are refresh tokens, and tokens without an expiry. No record holds anything that could be used as a token. To
revoke all that a user got, see tokenwright revoke.

Usage:
  kubectl tokenwright tokens [flags]
  kubectl tokenwright tokens [command]

Available Commands:
  list        List recorded tokens that are good, or all with --all
  revoke      Revoke tokens by their ids
`, ""},
		},
		"revoke a token": {
			"kubectl hands on ids and flags", []string{"tokenwright", "tokens", "revoke", revokedByPlugin, "-n", unmanaged},
			output{0, "Token " + revokedByPlugin + ": revoked by TokenRevocation token-" + revokedByPlugin + "\n", ""},
		},
		"a token that is none": {
			"", []string{"tokenwright", "tokens", "list", "-o", "xml", "-n", unmanaged},
			output{1, "", "error: --output must be table, name, json or yaml, not \"xml\"\n"},
		},
		"requests": {
			"the namespace is kubectl's", []string{"tokenwright", "requests", "deny", "none", "-n", "default"},
			output{1, "", "error: you need the right to get permissionrequests of tokenwright.dev in namespace \"default\": permissionrequests.tokenwright.dev \"none\" is forbidden: " +
				"User \"system:serviceaccount:empty:admin\" cannot get resource \"permissionrequests\" in API group \"tokenwright.dev\" in the namespace \"default\"\n"},
		},
		"help of requests": {
			"who looks for revoke finds it", []string{"tokenwright", "requests", "deny", "--help"},
			output{0, `Refuse a request, or take back what was approved: to revoke an approval is to deny the request. Tokens that were issued by
it are good until they expire, as far as nobody asks a server about them. The manager deletes the request 30 days later.

Usage:
  kubectl tokenwright requests deny NAME [flags]

Examples:
  kubectl tokenwright requests deny preq-4k5x2dvmcsk5ln7dlbn3rfe7pi -n photos
`, ""},
		},
		"completion of names": {
			"", []string{"__complete", "tokenwright", "keys", "rotate", "-n", unmanaged, ""}, output{0, "plugged\n:4\n", ""},
		},
		"completion of key ids": {
			"", []string{"__complete", "tokenwright", "keys", "revoke", "-n", unmanaged, "plugged", "standby", ""},
			output{0, libTrust256 + "\tActive\nnext\tPending\n:4\n", ""},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			kubectl := exec.Command(filepath.Join(controlplane.Binaries(), "kubectl"), tc.args...)
			kubectl.Env = append(os.Environ(), "PATH="+folder+":"+os.Getenv("PATH"))
			kubectl.Stdout, kubectl.Stderr = &stdout, &stderr
			got := output{}
			if err := kubectl.Run(); err != nil {
				exit := &exec.ExitError{}
				if !errors.As(err, &exit) {
					t.Fatal(err)
				}
				got.Status = exit.ExitCode()
			}
			got.Stdout = beginning(stdout.String(), tc.want.Stdout)
			if tc.args[0] != "__complete" { // there kubectl talks to those who debug it
				got.Stderr = stderr.String()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// testCompletion shows what the shell gets where kubectl is not in between.
func (b *keysBench) testCompletion(t *testing.T) {
	b.static(t, "completed", v1alpha1.SigningKeyStatus{Conditions: conditions(), ObservedGeneration: 1, Keys: someKeys()})
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"names":                    {"", []string{"list", ""}, "completed\n:4\n"},
		"no name twice":            {"", []string{"list", "completed", ""}, ":4\n"},
		"one name to rotate":       {"", []string{"rotate", "completed", ""}, ":4\n"},
		"a standby to activate":    {"", []string{"activate", "completed", ""}, "standby\tPublished\n:4\n"},
		"one standby to activate":  {"", []string{"activate", "completed", "standby", ""}, ":4\n"},
		"keys to revoke":           {"the dead are dead", []string{"revoke", "completed", ""}, libTrust256 + "\tActive\nstandby\tPublished\nnext\tPending\nretired\tRetired\n:4\n"},
		"nothing without a right":  {"an error has no place in a prompt", []string{"list", "--context", asNobody, ""}, ":4\n"},
		"nothing without a server": {"", []string{"list", "--kubeconfig", "/nonexistent", ""}, ":4\n"},
		"nothing of what is not":   {"", []string{"revoke", "other", ""}, ":4\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"__complete", "keys", tc.args[0], "-n", unmanaged}, tc.args[1:]...)
			if status := execute(t.Context(), args, &stdout, &stderr); status != 0 {
				t.Errorf("status %d: %s", status, stderr.String())
			}
			if diff := cmp.Diff(tc.want, stdout.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
