package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/tokenwright/tokenwright/test/stage"
)

// revocationsOf is how many tokens of one user are revoked: half at each server, which is fewer than a server lets one user
// have revoked at once.
const revocationsOf = 40

// onRevocation measures how long a revocation that one server has stored takes until another one refuses the token. Nothing is
// pinned, and no manager runs: it would delete the record, which ends a token, too.
type onRevocation struct {
	onCluster
	revocations int
	servers     [2]*server
}

// revoked is one sample: from the answer of the server that stored it, and from the request to it.
type revoked struct{ answered, asked time.Duration }

func (o *onRevocation) run(ctx context.Context, report func(Case)) (err error) {
	o.cluster, err = stage.StartCluster(o.dir)
	if o.cluster != nil {
		defer func() { err = errors.Join(err, o.cluster.Stop()) }()
	}
	if err != nil {
		return err
	}
	defer o.stop()
	defer o.stopServers()
	if err := o.install(ctx); err != nil {
		return err
	}
	if err := o.startServers(ctx); err != nil {
		return err
	}
	if err := o.letEverybodyIn(ctx); err != nil {
		return err
	}
	samples := make([]revoked, 0, o.revocations)
	for i := range o.revocations {
		sample, err := o.revokeOne(ctx, i)
		if err != nil {
			return fmt.Errorf("revocation %d: %w", i, err)
		}
		samples = append(samples, sample)
	}
	reportRevocations(report, samples)
	return nil
}

func (o *onRevocation) startServers(ctx context.Context) error {
	kubeconfig, err := o.cluster.KubeconfigOf(ctx, stage.SystemNamespace, "tokenwright-server")
	if err != nil {
		return err
	}
	for i := range o.servers {
		name := fmt.Sprintf("server-%d", i)
		o.servers[i], err = startServer(ctx, o.dir, name, anyCore, []string{"KUBECONFIG=" + kubeconfig},
			"--namespace="+stage.SystemNamespace, "--pod-name="+name)
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *onRevocation) stopServers() {
	for _, s := range o.servers {
		if s != nil {
			s.stop()
		}
	}
}

// letEverybodyIn makes the users and lets all of them have refresh tokens, and waits until both servers know.
func (o *onRevocation) letEverybodyIn(ctx context.Context) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	var file strings.Builder
	for i := 0; i <= o.revocations/revocationsOf; i++ {
		fmt.Fprintf(&file, "%s:%s\n", revocationUser(i*revocationsOf), hash)
	}
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
stringData: {htpasswd: %q}
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: everybody-logs-in}
spec:
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: repository, names: ["team-a/**"], actions: [pull]}]
  offlineAccess: {maxLifetime: 48h}
`, file.String())
	if err := o.cluster.Apply(ctx, manifest); err != nil {
		return err
	}
	last := revocationUser(o.revocations)
	for _, s := range o.servers {
		if err := s.await(ctx, patience, 50*time.Millisecond, func() error {
			_, err := s.login(ctx, last)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func revocationUser(i int) string { return fmt.Sprintf("user-%d", i/revocationsOf) }

// revokeOne has a token made and revoked by one server, in turn, and asks the other, which has taken it, until it refuses.
func (o *onRevocation) revokeOne(ctx context.Context, i int) (revoked, error) {
	stores, hears, username := o.servers[i%2], o.servers[(i+1)%2], revocationUser(i)
	token, err := stores.login(ctx, username)
	if err != nil {
		return revoked{}, err
	}
	if err := hears.until(ctx, token, http.StatusOK); err != nil {
		return revoked{}, err
	}
	asked := time.Now()
	status, body, err := stores.post(ctx, "/revoke", username, url.Values{"token": {token}})
	answered := time.Now()
	if err != nil || status != http.StatusOK {
		return revoked{}, errors.Join(fmt.Errorf("the revocation was answered with %d: %s", status, body), err)
	}
	err = hears.until(ctx, token, http.StatusUnauthorized)
	return revoked{time.Since(answered), time.Since(asked)}, err
}

// login gets a refresh token as docker does.
func (s *server) login(ctx context.Context, username string) (string, error) {
	query := url.Values{"service": {keyIDService}, "client_id": {"docker"}, "offline_token": {"true"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/token?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	request.SetBasicAuth(username, password)
	status, body, err := send(request)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.RefreshToken == "" {
		return "", errors.Join(fmt.Errorf("the login of %s was answered with %d and no refresh token", username, status), err)
	}
	return answer.RefreshToken, nil
}

// until shows the refresh token until the answer is as expected. Until that it may be the opposite, or, as long as the server has
// not seen the record, 503.
func (s *server) until(ctx context.Context, token string, want int) error {
	form := url.Values{"grant_type": {"refresh_token"}, "service": {keyIDService}, "refresh_token": {token}, "scope": {"repository:team-a/app:pull"}}
	var status int
	for end := time.Now().Add(longestEffect); time.Now().Before(end); {
		var err error
		if status, _, err = s.post(ctx, "/token", "", form); err != nil {
			return err
		}
		switch status {
		case want:
			return nil
		case http.StatusOK, http.StatusUnauthorized:
		default:
			if want == http.StatusUnauthorized {
				return fmt.Errorf("a token that is revoked was answered with %d", status)
			}
		}
	}
	return fmt.Errorf("the refresh token is answered with %d after %s, expected %d", status, longestEffect, want)
}

func (s *server) post(ctx context.Context, path, username string, form url.Values) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if username != "" {
		request.SetBasicAuth(username, url.QueryEscape(password))
	}
	return send(request)
}

func send(request *http.Request) (int, []byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func reportRevocations(report func(Case), samples []revoked) {
	for _, c := range []struct {
		name string
		of   func(revoked) time.Duration
	}{
		{"a revocation that one server stored is honoured by another, p99", func(r revoked) time.Duration { return r.answered }},
		{"the same from the request on", func(r revoked) time.Duration { return r.asked }},
	} {
		took := make([]time.Duration, len(samples))
		for i, sample := range samples {
			took[i] = c.of(sample)
		}
		slices.Sort(took)
		at := func(share float64) time.Duration { return took[min(int(share*float64(len(took))), len(took)-1)] }
		report(atMost(c.name, float64(at(0.99))/float64(time.Millisecond), 250, "ms", fmt.Sprintf("p50 %s, longest %s, of %d revocations",
			at(0.5).Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond), len(took))))
	}
}
