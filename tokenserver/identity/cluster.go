package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authenticationclient "k8s.io/client-go/kubernetes/typed/authentication/v1"
	"k8s.io/client-go/rest"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:urls=/openid/v1/jwks;/.well-known/openid-configuration,verbs=get

// Cluster is the API server as far as ServiceAccounts are concerned.
type Cluster interface {
	// Keys returns the issuer of ServiceAccount tokens and the JSON Web Key Set that they are signed with.
	Keys(ctx context.Context) (issuer string, jwks []byte, err error)
	// Review asks whether a token is good for one of the audiences. An error means that this is not known, and wraps what
	// tells an API server that is away from one that is too busy or unwilling.
	Review(ctx context.Context, token string, audiences []string) (authenticationv1.TokenReviewStatus, error)
}

// clusterTimeout bounds every request to the API server; callers set tighter bounds.
const clusterTimeout = 10 * time.Second

// NewCluster returns the API server that the configuration leads to. Nothing is sent yet.
func NewCluster(config *rest.Config) (Cluster, error) {
	config = rest.CopyConfig(config)
	// How many requests are under way is bounded where they are made; client-go's own limit of 5 a second would be a
	// limit of logins.
	config.QPS = -1
	config.Timeout = clusterTimeout
	client, err := authenticationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	return &apiServer{client: client}, nil
}

type apiServer struct {
	client authenticationclient.AuthenticationV1Interface
}

// Keys implements Cluster. The keys are those of the API server itself, wherever its discovery document says that
// others should get them.
func (a *apiServer) Keys(ctx context.Context) (issuer string, jwks []byte, err error) {
	body, err := a.client.RESTClient().Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("get the issuer of ServiceAccount tokens: %w", err)
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", nil, fmt.Errorf("read the issuer of ServiceAccount tokens: %w", err)
	}
	if document.Issuer == "" {
		return "", nil, errors.New("the API server names no issuer of ServiceAccount tokens")
	}
	jwks, err = a.client.RESTClient().Get().AbsPath("/openid/v1/jwks").DoRaw(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("get the keys of ServiceAccount tokens: %w", err)
	}
	return document.Issuer, jwks, nil
}

// Review implements Cluster. An API server that is too busy must be heard saying so, because its silence counts as its
// absence. So the request is not repeated, as client-go would do with 429 until the time is over; and the API server is
// told how long there is, of which it lets a request wait a quarter in its queues before it answers 429.
func (a *apiServer) Review(ctx context.Context, token string, audiences []string) (authenticationv1.TokenReviewStatus, error) {
	timeout := clusterTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if timeout <= 0 {
		return authenticationv1.TokenReviewStatus{}, fmt.Errorf("review a token: %w", context.DeadlineExceeded)
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}
	var answer authenticationv1.TokenReview
	err := a.client.RESTClient().Post().Resource("tokenreviews").MaxRetries(0).Timeout(timeout).Body(review).Do(ctx).Into(&answer)
	if err != nil {
		return authenticationv1.TokenReviewStatus{}, fmt.Errorf("review a token: %w", err)
	}
	return answer.Status, nil
}
