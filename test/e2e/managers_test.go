//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

// manager is a process that leads or waits to lead.
type manager struct {
	*stage.Process
	metrics string // URL
}

func (s *scene) startManagers(ctx context.Context) error {
	for i := range 2 {
		address, err := stage.FreeAddress()
		if err != nil {
			return err
		}
		process, err := s.StartManager(ctx, fmt.Sprintf("manager-%d", i+1), "--test-bounds",
			"--clock-skew="+clockSkew.String(), "--max-staleness="+maxStaleness.String(), "--jwks-max-age="+jwksMaxAge.String(),
			"--metrics-listen="+address, "--health-listen=0")
		if err != nil {
			return err
		}
		s.managers = append(s.managers, manager{process, "http://" + address + "/metrics"})
	}
	return nil
}

// leader is the manager that leads.
func (s *scene) leader(ctx context.Context) (manager, error) {
	for _, m := range s.managers {
		text, err := fetch(ctx, m.metrics)
		if err == nil && strings.Contains(text, `leader_election_master_status{name="tokenwright-manager"} 1`) {
			return m, nil
		}
	}
	return manager{}, errors.New("no manager leads")
}

// killManagers kills the leader again and again, at random times, and each third time the other manager with it; each
// is started again at once. It returns how often it did, and fails if nobody leads any more.
func (s *scene) killManagers(ctx context.Context) (rounds int, err error) {
	for {
		var leads manager
		if err := stage.Eventually(ctx, time.Minute, func() (err error) {
			leads, err = s.leader(ctx)
			return err
		}); err != nil {
			return rounds, unlessOver(ctx, err)
		}
		select {
		case <-ctx.Done():
			return rounds, nil
		case <-time.After(500*time.Millisecond + rand.N(2500*time.Millisecond)):
		}
		victims := []manager{leads}
		if rounds%3 == 2 {
			victims = s.managers
		}
		for _, v := range victims {
			v.Kill()
		}
		err := s.endLease(ctx)
		for _, v := range victims {
			v.Release()
		}
		if err != nil {
			return rounds, unlessOver(ctx, err)
		}
		rounds++
	}
}

// endLease takes the place of the minute in which nobody leads after a leader was killed: it would be longer than keys
// of this test may sign. It is done also when the time is up: what comes next would wait for that minute.
func (s *scene) endLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	_, err := s.Cluster.Kubectl(ctx, "patch", "lease", "tokenwright-manager", "--namespace="+stage.SystemNamespace,
		"--type=merge", "-p", `{"spec":{"holderIdentity":""}}`)
	return err
}

// unlessOver is the error, or nil if the context's end is why.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// fetch returns what a URL answers with status 200.
func fetch(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return string(body), err
}
