package main

import (
	"context"
	"crypto/rand"
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/stage"
	"github.com/tokenwright/tokenwright/tokenserver/token"
)

// usesOf is how many tickets one user uses, which is fewer than a server lets one user use at once.
const usesOf = 20

// many keeps a connection for each writer.
var many = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}}

// postAs posts with a bearer.
func (s *server) postAs(ctx context.Context, path, bearer, mediaType, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", mediaType)
	request.Header.Set("Authorization", "Bearer "+bearer)
	response, err := many.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// tickets measures how many tickets a second are asked for and exchanged. The limit is what the API server and etcd can store in
// the same way: each use is one object.
func (o *onUMA) tickets(ctx context.Context, report func(Case)) error {
	bearers, err := o.manyUsers(ctx)
	if err != nil {
		return err
	}
	limit, err := o.revocationRate(ctx)
	if err != nil {
		return err
	}
	took := make([]time.Duration, o.uses)
	began := time.Now()
	if err := inParallel(o.uses, func(i int) (err error) {
		took[i], err = o.useOne(ctx, bearers[i/usesOf])
		return err
	}); err != nil {
		return err
	}
	rate := float64(o.uses) / time.Since(began).Seconds()
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[min(int(share*float64(len(took))), len(took)-1)].Round(100 * time.Microsecond)
	}
	report(share("tickets that become RPTs, against objects stored", rate, limit, rate/limit, 0.5,
		fmt.Sprintf("the exchange: p50 %s, p99 %s, with %d clients", at(0.5), at(0.99), writers)))
	return nil
}

// useOne gets a ticket and exchanges it, and returns how long the exchange took.
func (o *onUMA) useOne(ctx context.Context, bearer string) (time.Duration, error) {
	body := fmt.Sprintf(`{"resource_id":%q,"resource_scopes":["read"]}`, resourceID(0))
	status, answer, err := o.server.postAs(ctx, "/authz/protection/permission", o.pat, "application/json", body)
	var ticket struct {
		Ticket string `json:"ticket"`
	}
	if err == nil && status == http.StatusCreated {
		err = json.Unmarshal(answer, &ticket)
	}
	if err != nil || ticket.Ticket == "" {
		return 0, errors.Join(fmt.Errorf("a ticket was answered with %d: %.200s", status, answer), err)
	}
	began := time.Now()
	status, answer, err = o.server.postAs(ctx, "/token", bearer, "application/x-www-form-urlencoded",
		url.Values{"grant_type": {umaGrant}, "ticket": {ticket.Ticket}}.Encode())
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the exchange was answered with %d: %.200s", status, answer)
	}
	return time.Since(began), err
}

// manyUsers makes users and logs them in.
func (o *onUMA) manyUsers(ctx context.Context) ([]string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	bearers := make([]string, (o.uses+usesOf-1)/usesOf)
	var file strings.Builder
	for i := range bearers {
		fmt.Fprintf(&file, "user-%d:%s\n", i, hash)
	}
	// Alice is not among them: her tokens are good on.
	err = o.cluster.Apply(ctx, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: users, namespace: tokenwright-system, labels: {tokenwright.dev/watch: "true"}}
stringData: {htpasswd: %q}
`, file.String()+user+":"+string(hash)+"\n"))
	if err != nil {
		return nil, err
	}
	if err := stage.Eventually(ctx, patience, func() error {
		_, err := o.server.accessToken(ctx, fmt.Sprintf("user-%d", len(bearers)-1), "uma_authorization")
		return err
	}); err != nil {
		return nil, err
	}
	for i := range bearers {
		if bearers[i], err = o.server.accessToken(ctx, fmt.Sprintf("user-%d", i), "uma_authorization"); err != nil {
			return nil, err
		}
	}
	return bearers, nil
}

// revocationRate is how many objects a second the API server stores, of the size and by the clients that uses have.
func (o *onUMA) revocationRate(ctx context.Context) (float64, error) {
	c, err := o.client()
	if err != nil {
		return 0, err
	}
	objects := make([]client.Object, o.uses)
	for i := range objects {
		id, err := token.NewID(rand.Reader)
		if err != nil {
			return 0, err
		}
		objects[i] = &v1alpha1.TokenRevocation{
			ObjectMeta: metav1.ObjectMeta{Namespace: stage.SystemNamespace, Name: "token-" + id},
			Spec:       v1alpha1.TokenRevocationSpec{Token: &v1alpha1.RevokedToken{ID: id}, Expires: v1alpha1.NewDateTime(time.Now().Add(5 * time.Minute))},
		}
	}
	began := time.Now()
	err = createAll(ctx, c, len(objects), func(i int) client.Object { return objects[i] })
	return float64(len(objects)) / time.Since(began).Seconds(), err
}
