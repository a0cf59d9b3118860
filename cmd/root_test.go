package cmd

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExecute(t *testing.T) {
	type want struct {
		Status         int
		Stdout, Stderr string
	}
	cases := map[string]struct {
		reason string
		args   []string
		want   want
	}{
		"The version": {
			"scripts read it from the standard output", []string{"version"},
			want{Status: 0, Stdout: "tokenwright devel (go"},
		},
		"No command": {
			"whoever does not know the commands gets them", nil,
			want{Status: 0, Stdout: "A Kubernetes-native authority"},
		},
		"Help": {
			"every command is listed", []string{"help"},
			want{Status: 0, Stdout: `A Kubernetes-native authority for short-lived, scoped tokens

Usage:
  tokenwright [command]

Available Commands:
  help        Help about any command
  keys        See, rotate, activate and revoke the keys of SigningKeys
  manager     Run the controllers: keys are made and rotated, and every object says whether it is in force
  policy      Check policies, and ask what they grant
`},
		},
		"Help for policies": {
			"", []string{"policy"},
			want{Status: 0, Stdout: `Check policies, and ask what they grant: those of a cluster, or those of files before they are applied.

What is granted is decided by the code that servers decide by. The cluster is only read, and never a Secret of it.
The exit status is 0 or 1 by the answer, and 2 if there is none.

Usage:
  tokenwright policy [flags]
  tokenwright policy [command]

Available Commands:
  can-i       Say whether somebody may do something, and why
  diff        Say what applying manifests would change
  lint        Check manifests without a cluster
  test        Check that manifests grant what a table of cases expects
  who-can     List who may do something, and by which rule
`},
		},
		"An unknown command": {
			"a mistake is one line, and a status that scripts see", []string{"serve"},
			want{Status: 1, Stderr: `error: unknown command "serve"`},
		},
		"An unknown flag": {
			"a mistake is one line", []string{"server", "--isuer=x"},
			want{Status: 1, Stderr: "error: unknown flag: --isuer"},
		},
		"A server without an issuer": {
			"registries compare it, so there is no default", []string{"server", "--kubeconfig=/nonexistent"},
			want{Status: 1, Stderr: "error: the issuer is missing"},
		},
		"A server with half of TLS": {
			"plain HTTP must not come of a mistake", []string{"server", "--issuer=x", "--tls-cert-file=tls.crt"},
			want{Status: 1, Stderr: "error: the TLS certificate and the TLS key must be given together"},
		},
		"A server with a view of no age": {
			"no watch can be so short", []string{"server", "--issuer=x", "--max-staleness=1s"},
			want{Status: 1, Stderr: "error: the maximal staleness is 1s, and must be at least 3s"},
		},
		"A server with a name that no Lease can have": {
			"it must not become another object's", []string{"server", "--issuer=x", "--pod-name=a/b"},
			want{Status: 1, Stderr: `error: the pod name "a/b" cannot be part of a Lease's name`},
		},
		"A server without a cluster": {
			"it says what it could not read", []string{"server", "--issuer=x", "--kubeconfig=/nonexistent"},
			want{Status: 1, Stderr: "error: find the API server: "},
		},
		"A server without a cluster that is told where one is": {
			"one of the two is a mistake", []string{"server", "--issuer=x", "--manifests=m", "--kubeconfig=/nonexistent"},
			want{Status: 1, Stderr: "error: --kubeconfig has no meaning with --manifests: there is no cluster"},
		},
		"A server without a cluster that is told how old its view may be": {
			"it has none that gets old", []string{"server", "--issuer=x", "--manifests=m", "--max-staleness=1h"},
			want{Status: 1, Stderr: "error: --max-staleness has no meaning with --manifests"},
		},
		"A server without a cluster that is told its pod": {
			"it has none", []string{"server", "--issuer=x", "--manifests=m", "--pod-name=a"},
			want{Status: 1, Stderr: "error: --pod-name has no meaning with --manifests"},
		},
		"A server with a cluster that is told where to keep keys": {
			"the manager keeps them", []string{"server", "--issuer=x", "--state-dir=s"},
			want{Status: 1, Stderr: "error: --state-dir has a meaning only with --manifests: with a cluster the manager makes the keys"},
		},
		"A server without a cluster and without manifests": {
			"it says what it could not read", []string{"server", "--issuer=x", "--manifests=/nonexistent"},
			want{Status: 1, Stderr: "error: the manifests are not in order:\n  stat /nonexistent: no such file or directory"},
		},
		"A server without a cluster and without an issuer": {
			"registries compare it, so there is no default", []string{"server", "--manifests=/nonexistent"},
			want{Status: 1, Stderr: "error: the issuer is missing"},
		},
		"An unknown log level": {
			"nothing is logged at a level that does not exist", []string{"server", "--issuer=x", "--log-level=loud"},
			want{Status: 1, Stderr: "error: log level must be error, info or debug"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			got := want{Status: execute(context.Background(), tc.args, &stdout, &stderr)}
			got.Stdout, got.Stderr = beginning(stdout.String(), tc.want.Stdout), beginning(stderr.String(), tc.want.Stderr)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// beginning cuts a text at the length of what is expected; what is not expected stays whole.
func beginning(text, want string) string {
	if want != "" && strings.HasPrefix(text, want) {
		return want
	}
	return text
}
