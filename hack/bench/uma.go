package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

const (
	umaGrant = "urn:ietf:params:oauth:grant-type:uma-ticket"
	// asked is how many permissions one request names.
	asked = 1000
	// umaTarget is how long that may take, in milliseconds.
	umaTarget = 20
	// resourceTeams is how many namespaces the resources are in.
	resourceTeams = 100
)

// onUMA measures what clients of protected resources wait for: a server and an API server, nothing is pinned, no manager runs.
type onUMA struct {
	onCluster
	resources, requests, uses int

	// alice stands for a user who may read and write everything, and for the resource server.
	bearer, pat string
}

const umaPolicies = `
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: everybody-reads-orders}
spec:
  subjects: [{kind: Group, name: "system:authenticated"}]
  rules: [{type: order, names: ["**"], actions: [read, write]}]
---
apiVersion: tokenwright.dev/v1alpha1
kind: ClusterAccessPolicy
metadata: {name: alice-protects}
spec:
  subjects: [{kind: User, name: alice}]
  rules: [{type: oauth, names: [keyid.example.com], actions: [uma_protection]}]
`

func (o *onUMA) run(ctx context.Context, report func(Case)) error {
	o.values, o.flags = []string{"uma.enabled=true"}, []string{"--uma"}
	return o.started(func() error {
		if err := o.install(ctx); err != nil {
			return err
		}
		if err := o.createResources(ctx); err != nil {
			return err
		}
		if err := o.ready(ctx, report, fmt.Sprintf("%d protected resources", o.resources)); err != nil {
			return err
		}
		if err := o.logIn(ctx); err != nil {
			return err
		}
		for _, measure := range []func(context.Context, func(Case)) error{o.named, o.everything, o.largest, o.tickets} {
			if err := measure(ctx, report); err != nil {
				return err
			}
		}
		return nil
	})
}

// createResources creates the resources with their namespaces and policies.
func (o *onUMA) createResources(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := createAll(ctx, c, resourceTeams, func(i int) client.Object {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("team-%d", i)}}
	}); err != nil {
		return err
	}
	if err := createAll(ctx, c, o.resources, func(i int) client.Object { return resourceNumber(i) }); err != nil {
		return err
	}
	o.log("created %d resources in %s", o.resources, time.Since(began).Round(time.Second))
	return o.cluster.Apply(ctx, umaPolicies)
}

func resourceNumber(i int) *v1alpha1.ProtectedResource {
	return &v1alpha1.ProtectedResource{
		ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%d", i%resourceTeams), Name: fmt.Sprintf("o%06d", i)},
		Spec: v1alpha1.ProtectedResourceSpec{
			Audience: keyIDService, Type: "order", DisplayName: fmt.Sprintf("Order %d", i), Scopes: []v1alpha1.ResourceScope{"read", "write", "delete"},
			URIs: []v1alpha1.ResourceURI{v1alpha1.ResourceURI(fmt.Sprintf("/orders/%d", i)), v1alpha1.ResourceURI(fmt.Sprintf("/orders/%d/items/{item}", i))},
		},
	}
}

func resourceID(i int) string { return fmt.Sprintf("team-%d/o%06d", i%resourceTeams, i) }

// logIn gets alice's token, and the resource server's.
func (o *onUMA) logIn(ctx context.Context) (err error) {
	if o.bearer, err = o.server.accessToken(ctx, user, "uma_authorization"); err != nil {
		return err
	}
	o.pat, err = o.server.accessToken(ctx, user, "uma_protection")
	return err
}

// accessToken gets one, which must be granted the scope.
func (s *server) accessToken(ctx context.Context, username, scope string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "audience": {keyIDService}, "scope": {scope}}
	status, body, err := s.post(ctx, "/token", username, form)
	var answer struct {
		Token string `json:"access_token"`
		Scope string `json:"scope"`
	}
	if err == nil && status == http.StatusOK {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.Scope == "" {
		return "", errors.Join(fmt.Errorf("%s was answered with %d and no token with the scope %s", username, status, scope), err)
	}
	return answer.Token, nil
}

// rounds is how often a series is measured. As for rates, the best one counts: what else the machine does makes the others slower.
const rounds = 5

// series asks for permissions again and again, one request after the other, and holds each answer to what is expected. It returns
// the times of the best round, sorted, and the processor time that a request took of the server in it.
func (o *onUMA) series(ctx context.Context, form url.Values, holds func(body []byte) error) (best []time.Duration, processor time.Duration, err error) {
	form.Set("grant_type", umaGrant)
	form.Set("audience", keyIDService)
	encoded := form.Encode()
	for range rounds {
		before, err := o.server.processorTime()
		if err != nil {
			return nil, 0, err
		}
		took := make([]time.Duration, o.requests)
		for n := range took {
			if took[n], err = o.once(ctx, encoded, holds); err != nil {
				return nil, 0, err
			}
		}
		after, err := o.server.processorTime()
		if err != nil {
			return nil, 0, err
		}
		slices.Sort(took)
		if best == nil || quantile(took, 0.99) < quantile(best, 0.99) {
			best, processor = took, (after-before)/time.Duration(len(took))
		}
	}
	return best, processor, nil
}

func (o *onUMA) once(ctx context.Context, form string, holds func(body []byte) error) (time.Duration, error) {
	began := time.Now()
	status, body, err := o.server.postAs(ctx, "/token", o.bearer, "application/x-www-form-urlencoded", form)
	elapsed := time.Since(began)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the answer is %d: %.200s", status, body)
	}
	if err == nil {
		err = holds(body)
	}
	return elapsed, err
}

// quantile is what the share of sorted times does not exceed.
func quantile(sorted []time.Duration, share float64) time.Duration {
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// permissions expects a list of so many.
func permissions(want int) func([]byte) error {
	return func(body []byte) error {
		if got := bytes.Count(body, []byte(`"rsid"`)); got != want {
			return fmt.Errorf("%d permissions were granted, want %d", got, want)
		}
		return nil
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// waited is a case of the times of the best round.
func waited(name string, took []time.Duration, processor time.Duration, limit float64, note string) Case {
	return atMost(name, milliseconds(quantile(took, 0.99)), limit, "ms", fmt.Sprintf("p50 %s, %s of the processor, best of %d rounds of %d requests%s",
		quantile(took, 0.5).Round(10*time.Microsecond), processor.Round(10*time.Microsecond), rounds, len(took), note))
}

// named asks for a thousand resources by their ids.
func (o *onUMA) named(ctx context.Context, report func(Case)) error {
	form := url.Values{"response_mode": {"permissions"}}
	count := min(asked, o.resources)
	for n := range count {
		form.Add("permission", resourceID(n*o.resources/count)+"#read")
	}
	took, processor, err := o.series(ctx, form, permissions(count))
	if err != nil {
		return err
	}
	report(waited(fmt.Sprintf("%d permissions over %d resources, p99", count, o.resources), took, processor, umaTarget, ""))
	return nil
}

// allTarget is for requests that all resources are decided for: it may take as much longer as there are more of them.
func (o *onUMA) allTarget() float64 { return max(umaTarget, umaTarget*float64(o.resources)/asked) }

// everything asks for all that alice may do.
func (o *onUMA) everything(ctx context.Context, report func(Case)) error {
	took, processor, err := o.series(ctx, url.Values{"response_mode": {"permissions"}}, permissions(o.resources))
	if err != nil {
		return err
	}
	report(waited(fmt.Sprintf("everything that one may do, %d permissions, p99", o.resources), took, processor, o.allTarget(), ""))
	return nil
}

// largest asks for everything, and for a token with as many permissions as fit.
func (o *onUMA) largest(ctx context.Context, report func(Case)) error {
	fits, beyond := 1, o.resources+1
	for fits+1 < beyond {
		middle := (fits + beyond) / 2
		status, _, err := o.server.postAs(ctx, "/token", o.bearer, "application/x-www-form-urlencoded", url.Values{
			"grant_type": {umaGrant}, "audience": {keyIDService}, "response_permissions_limit": {strconv.Itoa(middle)},
		}.Encode())
		switch {
		case err != nil:
			return err
		case status == http.StatusOK:
			fits = middle
		default:
			beyond = middle
		}
	}
	size := 0
	took, processor, err := o.series(ctx, url.Values{"response_permissions_limit": {strconv.Itoa(fits)}}, func(body []byte) error {
		var answer struct {
			Token string `json:"access_token"`
		}
		err := json.Unmarshal(body, &answer)
		size = len(answer.Token)
		return err
	})
	if err != nil {
		return err
	}
	report(waited(fmt.Sprintf("an RPT as large as can be, of %d resources, p99", o.resources), took, processor, o.allTarget(),
		fmt.Sprintf("; %d permissions in %d bytes", fits, size)))
	return nil
}
