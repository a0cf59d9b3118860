package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenwright/tokenwright/hack/bench/load"
	"github.com/tokenwright/tokenwright/tokenserver/keyring"
)

// How large the worlds are.
const (
	fewPolicies  = 10
	manyPolicies = 100_000
)

// throughput measures what one core does, in its own folder.
type throughput struct {
	dir    string
	core   int
	rounds int
	each   time.Duration

	few, many *server
}

// run measures all cases of throughput.
func (t *throughput) run(ctx context.Context, report func(Case)) error {
	defer t.stop()
	var err error
	if t.few, err = t.serve(ctx, "few", fewPolicies); err != nil {
		return err
	}
	if t.many, err = t.serve(ctx, "many", manyPolicies); err != nil {
		return err
	}
	for _, measure := range []func(context.Context) (Case, error){t.anonymous, t.loaded, t.basic, t.chain} {
		c, err := measure(ctx)
		if err != nil {
			return err
		}
		report(c)
	}
	return nil
}

func (t *throughput) stop() {
	for _, s := range []*server{t.few, t.many} {
		if s != nil {
			s.stop()
		}
	}
}

// serve starts a server without a cluster: what is measured is the same code, and no API server is in the way.
func (t *throughput) serve(ctx context.Context, name string, policies int) (*server, error) {
	// Not beside the log of the audit, or each of its records would be an event for who watches the manifests.
	manifests := filepath.Join(t.dir, "worlds", name)
	if err := writeWorld(manifests, policies); err != nil {
		return nil, err
	}
	return startServer(ctx, t.dir, name, t.core, nil, "--manifests="+manifests, "--state-dir="+t.state(name))
}

func (t *throughput) state(name string) string { return filepath.Join(t.dir, name+"-state") }

func (t *throughput) anonymous(ctx context.Context) (Case, error) {
	got, err := t.againstLimit(ctx, "keyid", t.few.pull(keyIDService))
	return share("anonymous pull token, ES256, KeyID", got.first, got.second, got.ratio, 0.85, latencies(got)), err
}

func (t *throughput) loaded(ctx context.Context) (Case, error) {
	got, err := compare(ctx, t.many.pull(keyIDService), t.few.pull(keyIDService), t.rounds, t.each)
	return share("the same with 100,000 policies, against 10", got.first, got.second, got.ratio, 0.95, latencies(got)), err
}

func (t *throughput) basic(ctx context.Context) (Case, error) {
	who := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	got, err := compare(ctx, t.few.push(keyIDService, who), t.few.pull(keyIDService), t.rounds, t.each)
	return share("Basic, known user, warm, against anonymous", got.first, got.second, got.ratio, 0.80, latencies(got)), err
}

func (t *throughput) chain(ctx context.Context) (Case, error) {
	got, err := t.againstLimit(ctx, "chain", t.few.pull(chainService))
	return share("anonymous pull token, ES256, X509Chain", got.first, got.second, got.ratio, 0.85, latencies(got)), err
}

func latencies(c compared) string {
	return fmt.Sprintf("p50 %s, p99 %s with %d connections", c.p50.Round(10*time.Microsecond), c.p99.Round(10*time.Microsecond), connections)
}

// againstLimit compares a server with the limit: a handler that signs with the same key and writes as much.
func (t *throughput) againstLimit(ctx context.Context, signingKey string, of contestant) (compared, error) {
	body, err := load.Body(of.target)
	if err != nil {
		return compared{}, err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return compared{}, fmt.Errorf("%w: %w", errNoToken, err)
	}
	signed := strings.LastIndexByte(answer.Token, '.')
	key, err := t.privateKey(signingKey)
	if err != nil {
		return compared{}, err
	}
	limit, err := start(t.dir, "limit-"+signingKey, t.core, nil, binary("bench-limit"), "-key="+key,
		"-sign="+strconv.Itoa(signed), "-answer="+strconv.Itoa(len(body)))
	if err != nil {
		return compared{}, err
	}
	defer limit.stop()
	var address string
	err = limit.await(ctx, patience, 5*time.Millisecond, func() (err error) {
		address, err = firstLine(limit.log)
		return err
	})
	if err != nil {
		return compared{}, err
	}
	target := of.target
	target.Address = address
	return compare(ctx, of, contestant{limit, target}, t.rounds, t.each)
}

func firstLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	line, err := bufio.NewReader(file).ReadString('\n')
	return strings.TrimSpace(line), err
}

// privateKey writes the key that signs now into a file of PEM, for the limit.
func (t *throughput) privateKey(signingKey string) (string, error) {
	text, err := os.ReadFile(filepath.Join(t.state("few"), "keys", keyring.SecretName(signingKey)+".json"))
	if err != nil {
		return "", err
	}
	var secret corev1.Secret
	if err := json.Unmarshal(text, &secret); err != nil {
		return "", err
	}
	ring, err := keyring.Decode(secret.Data)
	if err != nil {
		return "", err
	}
	active, ok := ring.Active()
	if !ok {
		return "", fmt.Errorf("no key of SigningKey %s is active", signingKey)
	}
	der, err := x509.MarshalPKCS8PrivateKey(active.Private)
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.dir, signingKey+".pem")
	return path, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
