package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
	"github.com/tokenwright/tokenwright/tokenserver/revocation"
	"github.com/tokenwright/tokenwright/tokenserver/slot"
)

// longestToken is the longest life of a token that is not recorded.
const longestToken = 24 * time.Hour

func newTokensRevokeCommand(cluster *clusterFlags) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke ID...",
		Short: "Revoke tokens by their ids",
		Long: `Revoke tokens by their ids: those of tokens list, or the jti of any token, which audit records have.

Servers refuse a revoked token from the moment at which they see the revocation. Who verifies tokens without asking a
server goes on to accept one until it expires, as registries do.`,
		Example: `  tokenwright tokens revoke 0-52113-3c7jvwrkc3m7ea6t4h2o5d6q2a --reason "laptop lost"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, ids []string) error {
			s, err := cluster.connect(cmd)
			if err != nil {
				return err
			}
			return s.revokeTokens(cmd.Context(), ids, reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	return cmd
}

// newRevokeCommand returns `tokenwright revoke`.
func newRevokeCommand() *cobra.Command {
	var f clusterFlags
	var subject, audience, before, reason string
	cmd := &cobra.Command{
		Use:   "revoke --subject USER --before TIME",
		Short: "Revoke all tokens that a user got until a time",
		Long: `Revoke all tokens that a user got until a time: refresh tokens, tokens without an expiry, and access tokens as far as
servers are asked about them.

For two minutes the user gets no new tokens (503): clocks differ, and a new token could not be told from a revoked one.
It takes no right away: who can still log in, and whom a policy still allows something, gets new tokens afterwards.`,
		Example: `  tokenwright revoke --subject=alice --before=now --reason "laptop lost"
  tokenwright revoke --subject=corp-bob --audience=registry.example.com --before=2026-11-26T08:00:00Z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := f.connect(cmd)
			if err != nil {
				return err
			}
			return s.revokeSubject(cmd.Context(), subject, audience, before, reason)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&subject, "subject", "", "the user, with the provider's prefix; a ServiceAccount is system:serviceaccount:NAMESPACE:NAME")
	cmd.Flags().StringVar(&audience, "audience", "", "only tokens for this audience")
	cmd.Flags().StringVar(&before, "before", "", "now, or a time of RFC 3339 that is not ahead")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	for _, name := range []string{"subject", "before"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // only for a flag that is not there
		}
	}
	return cmd
}

func (s *session) revokeTokens(ctx context.Context, ids []string, reason string) error {
	var failed []error
	for _, id := range ids {
		spec := v1alpha1.TokenRevocationSpec{
			Token: &v1alpha1.RevokedToken{ID: id}, Reason: reason, Expires: s.expiresOf(ctx, id),
		}
		if err := s.takeBack(ctx, spec, "Token "+id); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// expiresOf is until when the revocation of a token must be remembered: for a recorded one until its record ends. If that
// cannot be had it is as long as any token can live.
func (s *session) expiresOf(ctx context.Context, id string) v1alpha1.DateTime {
	place, recorded := slot.Parse(id)
	if !recorded {
		return v1alpha1.NewDateTime(s.now().Add(longestToken + time.Hour))
	}
	var t v1alpha1.IssuedToken
	if err := s.client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: place.Name()}, &t); err != nil || t.Spec.ID != id {
		return ""
	}
	return t.Spec.Expires
}

func (s *session) revokeSubject(ctx context.Context, subject, audience, before, reason string) error {
	now := s.now()
	at := now
	if before != "now" {
		var err error
		if at, err = time.Parse(time.RFC3339, before); err != nil {
			return fmt.Errorf("--before must be now, or a time of RFC 3339 such as 2026-11-26T08:00:00Z, not %q", before)
		}
		if at.After(now) {
			return fmt.Errorf("--before must not be ahead: until %s the user could get no token at all", before)
		}
	}
	if subject == "" {
		return errors.New("--subject must name a user")
	}
	spec := v1alpha1.TokenRevocationSpec{
		Subject: &v1alpha1.RevokedSubject{Username: subject, Audience: v1alpha1.Audience(audience), IssuedBefore: v1alpha1.NewDateTime(at)},
		Expires: v1alpha1.NewDateTime(at.Add(revocation.Remembered + time.Hour)), Reason: reason,
	}
	what := fmt.Sprintf("All tokens that %s got until %s", subject, spec.Subject.IssuedBefore)
	if audience != "" {
		what += " for " + audience
	}
	return s.takeBack(ctx, spec, what)
}

// takeBack stores a revocation, by the names under which servers store theirs. One that is there already is as good.
func (s *session) takeBack(ctx context.Context, spec v1alpha1.TokenRevocationSpec, what string) error {
	names, err := revocation.Names(spec)
	if err != nil {
		return err
	}
	for _, name := range names {
		object := &v1alpha1.TokenRevocation{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}, Spec: spec}
		err := s.client.Create(ctx, object, cliOwner)
		if err == nil {
			s.say("%s: revoked by TokenRevocation %s", what, name)
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return s.call("create", tokenRevocations, name).explain(err)
		}
		var there v1alpha1.TokenRevocation
		if err := s.client.Get(ctx, client.ObjectKeyFromObject(object), &there); err != nil {
			return s.call("get", tokenRevocations, name).explain(err)
		}
		if isEnough(&there, spec) {
			s.say("%s: revoked already by TokenRevocation %s", what, name)
			return nil
		}
	}
	return fmt.Errorf("TokenRevocations %s of namespace %q are there, and revoke something else or for too short a time: delete them, and revoke again",
		strings.Join(names, " and "), s.namespace)
}

// isEnough says whether what is there does what is asked. When a token without a record ends is a guess, which grows with
// each day: the token was revoked for long enough when it had more of its life before it.
func isEnough(there *v1alpha1.TokenRevocation, wanted v1alpha1.TokenRevocationSpec) bool {
	if wanted.Token != nil {
		if _, recorded := slot.Parse(wanted.Token.ID); !recorded || wanted.Expires == "" {
			wanted.Expires = there.Spec.Expires
		}
	}
	return revocation.Covers(there, wanted)
}
