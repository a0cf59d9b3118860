package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenwright/tokenwright/test/stage"
)

// The steps in which bob asks alice for what is hers, she lets him, and that is taken back.

// bobAsksAlice has alice decide as owners do, who have no access to the cluster: with a token of her own.
func (d *demo) bobAsksAlice(ctx context.Context) error {
	if err := d.bobIsDenied(ctx, holidaysPath, url.Values{"submit_request": {"true"}}, "request_submitted"); err != nil {
		return err
	}
	bearer, err := d.standsFor(ctx, "alice")
	if err != nil {
		return err
	}
	asked, err := d.askedOf(ctx, bearer)
	if err != nil {
		return err
	}
	if asked.Requester != "bob" || asked.Resource != d.gallery.holidays || asked.State != "Pending" {
		return fmt.Errorf("alice is asked %+v", asked)
	}
	d.gallery.asked = asked.ID
	body, err := json.Marshal(map[string]any{"id": asked.ID, "granted": true})
	if err != nil {
		return err
	}
	// Who asks cannot decide.
	bobs, err := d.standsFor(ctx, "bob")
	if err != nil {
		return err
	}
	for _, by := range []struct {
		bearer string
		status int
	}{{bobs, http.StatusForbidden}, {bearer, http.StatusNoContent}} {
		s, _, err := send(ctx, http.MethodPut, d.Issuer+requestsPath, by.bearer, "application/json", body)
		if err != nil || s.Status != by.status {
			return errors.Join(fmt.Errorf("the approval was answered with %d %s, not with %d", s.Status, s.Error, by.status), err)
		}
	}
	if err := d.bobMayView(ctx, d.gallery.holidays, true); err != nil {
		return err
	}
	return d.enters(ctx, "bob", holidaysPath)
}

// request is what somebody asks of an owner.
type request struct {
	ID, Requester, Resource, State string
}

// askedOf is the one request that the owner is asked, as soon as the server sees it.
func (d *demo) askedOf(ctx context.Context, bearer string) (request, error) {
	var list []request
	err := stage.Eventually(ctx, effectLimit, func() error {
		s, _, err := send(ctx, http.MethodGet, d.Issuer+requestsPath+"?owner=alice", bearer, "", nil)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(s.Body), &list); err != nil || len(list) != 1 {
			return errors.Join(fmt.Errorf("alice sees %d requests, and not 1: %d %s", len(list), s.Status, s.Error), err)
		}
		return nil
	})
	if err != nil {
		return request{}, err
	}
	return list[0], nil
}

// approvalIsTakenBack does what somebody does who may decide in the namespace, by the command.
func (d *demo) approvalIsTakenBack(ctx context.Context) error {
	namespace, name, found := strings.Cut(d.gallery.asked, "/")
	if !found {
		return errors.New("nothing was approved")
	}
	env := []string{"KUBECONFIG=" + d.Cluster.Kubeconfig}
	if _, err := stage.Command(ctx, env, nil, stage.Binary(), "requests", "deny", name, "--namespace="+namespace); err != nil {
		return err
	}
	if err := d.bobMayView(ctx, d.gallery.holidays, false); err != nil {
		return err
	}
	return d.bobIsDenied(ctx, holidaysPath, nil, "request_denied")
}
