package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tokenwright/tokenwright/test/stage"
)

const (
	holidaysPath, teamPath = "/albums/holidays", "/albums/team"
	teamAlbum              = "team-a/team"
	requestsPath           = "/authz/protection/permission/ticket"
	umaGrant               = "urn:ietf:params:oauth:grant-type:uma-ticket"
)

const bobLooksPolicy = `
apiVersion: tokenwright.dev/v1alpha1
kind: AccessPolicy
metadata: {name: bob-looks, namespace: team-a}
spec:
  subjects: [{kind: User, name: bob}]
  audiences: [gallery.example.com]
  rules: [{type: album, names: [team], actions: [view]}]
`

// umaWalk is the way of a client to a protected resource.
func (d *demo) umaWalk() []check {
	return []check{
		{"a resource server registers alice's album by the protection API, kubectl declares another one", d.registerAlbum},
		{"without a token it answers with a ticket, alice gets an RPT for it, and the call passes", d.aliceEnters},
		{"a ticket that is used 20 times at both servers at once gives one RPT", d.oneTicketOneToken},
		{"bob is refused, a policy lets him in, and when it is deleted the next RPT is refused", d.policyOpensAlbum},
		{"bob asks for alice's album and cannot decide himself, she approves with her own token, and he gets in", d.bobAsksAlice},
		{"`tokenwright requests deny` takes the approval back, and bob is refused at both servers", d.approvalIsTakenBack},
	}
}

// registerAlbum has the gallery open, and waits until both servers know both albums.
func (d *demo) registerAlbum(ctx context.Context) error {
	if err := d.Cluster.Apply(ctx, galleryObjects); err != nil {
		return err
	}
	if err := d.Cluster.WaitReady(ctx, "signingkeys", "clusteraccesspolicies"); err != nil {
		return err
	}
	if err := d.openGallery(ctx); err != nil {
		return err
	}
	var pat string
	err := stage.Eventually(ctx, 10*time.Second, func() (err error) {
		pat, err = d.gallery.enforcer.PAT(ctx)
		return err
	})
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{
		"name": "Holidays", "type": "album", "owner": "alice", "ownerManagedAccess": true, "resource_scopes": []string{"view"}, "uris": []string{holidaysPath},
	})
	if err != nil {
		return err
	}
	s, _, err := send(ctx, http.MethodPost, d.Issuer+"/authz/protection/resource_set", "Bearer "+pat, "application/json", body)
	if err != nil || s.Status != http.StatusCreated {
		return errors.Join(fmt.Errorf("the registration was answered with %d %s", s.Status, s.Error), err)
	}
	d.gallery.holidays = s.ID
	return errors.Join(d.bothKnow(ctx, pat, s.ID, teamAlbum), d.bothServe(ctx, pat, holidaysPath, s.ID))
}

// bothServe waits until the manager has written down that the uri is claimed, and both servers have seen it.
func (d *demo) bothServe(ctx context.Context, pat, uri, id string) error {
	for _, server := range d.URLs() {
		if err := stage.Eventually(ctx, 10*time.Second, func() error {
			s, _, err := send(ctx, http.MethodGet, server+"/authz/protection/resource_set?uri="+url.QueryEscape(uri), "Bearer "+pat, "", nil)
			if err == nil && strings.TrimSpace(s.Body) != `["`+id+`"]` {
				err = fmt.Errorf("%s answers %d %s for the uri %s", server, s.Status, s.Body, uri)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) bothKnow(ctx context.Context, pat string, ids ...string) error {
	for _, server := range d.URLs() {
		for _, id := range ids {
			if err := stage.Eventually(ctx, 10*time.Second, func() error {
				s, _, err := send(ctx, http.MethodGet, server+"/authz/protection/resource_set/"+url.PathEscape(id), "Bearer "+pat, "", nil)
				if err == nil && (s.Status != http.StatusOK || s.ID != id) {
					err = fmt.Errorf("%s answers %d for the resource %s", server, s.Status, id)
				}
				return err
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// standsFor is an access token by which a client acts as the user at protected resources.
func (d *demo) standsFor(ctx context.Context, user string) (string, error) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+url.QueryEscape(d.passwords[user])))
	s, err := askToken(ctx, d.Issuer, basic, url.Values{
		"grant_type": {"client_credentials"}, "audience": {galleryAudience}, "scope": {"uma_authorization"},
	})
	if err == nil && s.Status != http.StatusOK {
		err = fmt.Errorf("%s gets no access token: %d %s", user, s.Status, s.Error)
	}
	return "Bearer " + s.AccessToken, err
}

// walk visits an album as the user, and exchanges the ticket; more are parameters of the request.
func (d *demo) walk(ctx context.Context, user, path string, more url.Values) (said, error) {
	bearer, err := d.standsFor(ctx, user)
	if err != nil {
		return said{}, err
	}
	ticket, err := d.gallery.visit(ctx, path)
	if err != nil {
		return said{}, err
	}
	form := url.Values{"grant_type": {umaGrant}, "ticket": {ticket}}
	for name, values := range more {
		form[name] = values
	}
	return askToken(ctx, d.Issuer, bearer, form)
}

// enters walks, and looks at the album.
func (d *demo) enters(ctx context.Context, user, path string) error {
	s, err := d.walk(ctx, user, path, nil)
	if err != nil || s.Status != http.StatusOK {
		return errors.Join(fmt.Errorf("%s gets no RPT for %s: %d %s", user, path, s.Status, s.Error), err)
	}
	return d.gallery.enter(ctx, path, s.AccessToken, user)
}

// bobIsDenied walks, and fails unless the answer is a refusal.
func (d *demo) bobIsDenied(ctx context.Context, path string, more url.Values, code string) error {
	s, err := d.walk(ctx, "bob", path, more)
	if err == nil && (s.Status != http.StatusForbidden || s.Error != code) {
		err = fmt.Errorf("bob is answered with %d %s for %s, not with 403 %s", s.Status, s.Error, path, code)
	}
	return err
}

func (d *demo) aliceEnters(ctx context.Context) error {
	return d.enters(ctx, "alice", holidaysPath)
}

func (d *demo) oneTicketOneToken(ctx context.Context) error {
	bearer, err := d.standsFor(ctx, "alice")
	if err != nil {
		return err
	}
	ticket, err := d.gallery.visit(ctx, holidaysPath)
	if err != nil {
		return err
	}
	var (
		all      sync.WaitGroup
		mu       sync.Mutex
		statuses = map[int]int{}
	)
	for n := range 20 {
		all.Go(func() {
			s, err := askToken(ctx, d.URLs()[n%2], bearer, url.Values{"grant_type": {umaGrant}, "ticket": {ticket}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				statuses[s.Status]++
			}
		})
	}
	all.Wait()
	if statuses[http.StatusOK] != 1 || statuses[http.StatusBadRequest] != 19 {
		return fmt.Errorf("the answers, by status: %v", statuses)
	}
	return nil
}

// bobMayView waits until both servers decide so, and fails past the limit.
func (d *demo) bobMayView(ctx context.Context, id string, want bool) error {
	bearer, err := d.standsFor(ctx, "bob")
	if err != nil {
		return err
	}
	status := map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[want]
	for _, server := range d.URLs() {
		if err := stage.Eventually(ctx, effectLimit, func() error {
			s, err := askToken(ctx, server, bearer, url.Values{
				"grant_type": {umaGrant}, "audience": {galleryAudience}, "permission": {id + "#view"}, "response_mode": {"decision"},
			})
			if err == nil && s.Status != status {
				err = fmt.Errorf("%s decides with %d on %s for bob", server, s.Status, id)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) policyOpensAlbum(ctx context.Context) error {
	if err := d.bobIsDenied(ctx, teamPath, nil, "request_denied"); err != nil {
		return err
	}
	if err := d.Cluster.Apply(ctx, bobLooksPolicy); err != nil {
		return err
	}
	if err := d.bobMayView(ctx, teamAlbum, true); err != nil {
		return err
	}
	if err := d.enters(ctx, "bob", teamPath); err != nil {
		return err
	}
	if _, err := d.Cluster.Kubectl(ctx, "delete", "accesspolicy", "bob-looks", "--namespace=team-a"); err != nil {
		return err
	}
	if err := d.bobMayView(ctx, teamAlbum, false); err != nil {
		return err
	}
	return d.bobIsDenied(ctx, teamPath, nil, "request_denied")
}
