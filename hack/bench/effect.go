package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// longestEffect is for how long an effect is waited for.
const longestEffect = 30 * time.Second

// effect creates and deletes policies and measures, from the API server's answer to each, how long it takes until a token
// shows it.
func (o *onCluster) effect(ctx context.Context, report func(Case), name string) error {
	took := make([]time.Duration, 0, 2*o.changes)
	c := o.cluster.Plane.Client
	for i := range o.changes {
		p := effectPolicy(i)
		for _, step := range []struct {
			do      func() error
			granted bool
		}{
			{func() error { return c.Create(ctx, p) }, true},
			{func() error { return c.Delete(ctx, p) }, false},
		} {
			if err := step.do(); err != nil {
				return err
			}
			acknowledged := time.Now()
			if err := o.until(ctx, p.GetName(), step.granted); err != nil {
				return err
			}
			took = append(took, time.Since(acknowledged))
		}
	}
	slices.Sort(took)
	at := func(share float64) time.Duration { return took[min(int(share*float64(len(took))), len(took)-1)] }
	milliseconds := float64(at(0.99)) / float64(time.Millisecond)
	report(atMost(name, milliseconds, 250, "ms", fmt.Sprintf("p50 %s, longest %s, of %d changes",
		at(0.5).Round(100*time.Microsecond), took[len(took)-1].Round(100*time.Microsecond), len(took))))
	return nil
}

// effectPolicy lets anybody pull effect/<name>; every other one is a tenant's.
func effectPolicy(i int) client.Object {
	spec := v1alpha1.PolicySpec{
		Effect:   v1alpha1.EffectAllow,
		Subjects: []v1alpha1.Subject{{Kind: v1alpha1.SubjectGroup, Name: "system:unauthenticated"}},
	}
	name := fmt.Sprintf("effect-%d", i)
	rule := func(repository string) []v1alpha1.Rule {
		return []v1alpha1.Rule{{
			Type: v1alpha1.TypeRepository, Names: []v1alpha1.ResourceName{v1alpha1.ResourceName(repository)}, Actions: []v1alpha1.Action{"pull"},
		}}
	}
	if i%2 == 0 {
		p := &v1alpha1.ClusterAccessPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
		p.Spec.PolicySpec = spec
		p.Spec.Rules = rule("team-0/" + name)
		return p
	}
	p := &v1alpha1.AccessPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "team-0", Name: name}}
	p.Spec.PolicySpec = spec
	p.Spec.Rules = rule("team-0/" + name)
	return p
}

// until asks for tokens until one shows what is expected.
func (o *onCluster) until(ctx context.Context, name string, granted bool) error {
	url := fmt.Sprintf("http://%s/token?service=%s&scope=repository:team-0/%s:pull", o.server.address, keyIDService, name)
	for end := time.Now().Add(longestEffect); time.Now().Before(end); {
		got, err := grants(ctx, url)
		if err != nil {
			return err
		}
		if got == granted {
			return nil
		}
	}
	return fmt.Errorf("policy %s had no effect within %s", name, longestEffect)
}

// grants asks for a token and says whether it allows anything.
func grants(ctx context.Context, url string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err
	}
	var answer struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%w: %s", errNoToken, response.Status)
	}
	parts := strings.Split(answer.Token, ".")
	if len(parts) != 3 {
		return false, errNoToken
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false, err
	}
	var claims struct {
		Access []struct{} `json:"access"`
	}
	err = json.Unmarshal(payload, &claims)
	return len(claims.Access) > 0, err
}
