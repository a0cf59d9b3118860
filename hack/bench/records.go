package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/test/stage"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

// recordsOf is how many refresh tokens each user has.
const recordsOf = 2

// onRecords measures the start of a server with many live refresh tokens on an API server. Nothing is pinned.
type onRecords struct {
	onCluster
	records int
}

func (o *onRecords) run(ctx context.Context, report func(Case)) error {
	return o.started(func() error {
		if err := o.install(ctx); err != nil {
			return err
		}
		if err := o.createRecords(ctx); err != nil {
			return err
		}
		return o.ready(ctx, report, fmt.Sprintf("%d records", o.records))
	})
}

// createRecords creates records as servers do, as fast as the API server takes them.
func (o *onRecords) createRecords(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	began := time.Now()
	err = createAll(ctx, c, o.records, func(i int) client.Object { return recordNumber(i, began) })
	o.log("created %d records in %s", o.records, time.Since(began).Round(time.Second))
	return err
}

func recordNumber(i int, now time.Time) *v1alpha1.IssuedToken {
	id := slot.ID{List: i / slot.Size, Index: i % slot.Size, Random: strings.Repeat("a", 26)}
	return &v1alpha1.IssuedToken{
		ObjectMeta: metav1.ObjectMeta{Namespace: stage.SystemNamespace, Name: id.Name()},
		Spec: v1alpha1.IssuedTokenSpec{
			Type: v1alpha1.RefreshToken, ID: id.String(),
			Subject: v1alpha1.RecordedSubject{
				Username: fmt.Sprintf("user-%d", i/recordsOf), Groups: []string{"developers", fmt.Sprintf("team-%d", i%500), "system:authenticated"},
			},
			Provider:   v1alpha1.RecordedProvider{Name: "users", UID: "8e1f0a4c-3a0e-4a52-9d4b-0c1f6a3e7d11"},
			Credential: strings.Repeat("c", 43), AuthTime: v1alpha1.NewDateTime(now), Audience: keyIDService, ClientID: "docker",
			SecretHash: strings.Repeat("h", 43), Expires: v1alpha1.NewDateTime(now.Add(720 * time.Hour)),
		},
	}
}
