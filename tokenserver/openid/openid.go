// Package openid owns what an external OpenID Connect issuer is to us: how a provider of type jwt becomes an
// authenticator of Kubernetes' own library, with its validation and its expressions (Check, Verifier), and how an issuer's
// description and keys are fetched and read (Source). It keeps nothing: when keys are fetched, how long they are trusted
// and which tokens are looked at is the business of package identity, and who hears of an issuer that does not answer that
// of the controllers.
package openid

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/apis/apiserver"
	apiservervalidation "k8s.io/apiserver/pkg/apis/apiserver/validation"
	authenticationcel "k8s.io/apiserver/pkg/authentication/cel"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// compiler is shared: to make one takes longer than to compile with it.
var compiler = sync.OnceValue(authenticationcel.NewDefaultCompiler)

// Check says what an API server would say of the spec: expressions that do not compile or are of another type,
// certificates that cannot be read, an e-mail address that nobody has verified. The error names fields and holds no
// certificate.
func Check(spec *v1alpha1.JWTProvider) error {
	_, problems := apiservervalidation.CompileAndValidateJWTAuthenticator(compiler(), authenticatorOf(spec), nil)
	for _, problem := range problems {
		if problem.Field != "" {
			problem.Field = "jwt." + problem.Field
		}
	}
	return field.ErrorList(problems).ToAggregate()
}

// authenticatorOf spells the spec as Kubernetes does. The library puts no prefix to the names: with an expression it never
// does, and ours holds for both.
func authenticatorOf(spec *v1alpha1.JWTProvider) apiserver.JWTAuthenticator {
	a := apiserver.JWTAuthenticator{
		Issuer: apiserver.Issuer{
			URL: string(spec.Issuer.URL), DiscoveryURL: string(spec.Issuer.DiscoveryURL),
			CertificateAuthority: spec.Issuer.CertificateAuthority,
			AudienceMatchPolicy:  apiserver.AudienceMatchPolicyType(spec.Issuer.AudienceMatchPolicy),
		},
		ClaimMappings: apiserver.ClaimMappings{Username: prefixed(&spec.ClaimMappings.Username), Groups: prefixed(spec.ClaimMappings.Groups)},
	}
	for _, audience := range spec.Issuer.Audiences {
		a.Issuer.Audiences = append(a.Issuer.Audiences, string(audience))
	}
	if uid := spec.ClaimMappings.UID; uid != nil {
		a.ClaimMappings.UID = apiserver.ClaimOrExpression{Claim: string(uid.Claim), Expression: string(uid.Expression)}
	}
	for _, extra := range spec.ClaimMappings.Extra {
		a.ClaimMappings.Extra = append(a.ClaimMappings.Extra, apiserver.ExtraMapping{Key: extra.Key, ValueExpression: string(extra.ValueExpression)})
	}
	for _, rule := range spec.ClaimValidationRules {
		a.ClaimValidationRules = append(a.ClaimValidationRules, apiserver.ClaimValidationRule{
			Claim: string(rule.Claim), RequiredValue: rule.RequiredValue, Expression: string(rule.Expression), Message: rule.Message,
		})
	}
	for _, rule := range spec.UserValidationRules {
		a.UserValidationRules = append(a.UserValidationRules, apiserver.UserValidationRule{Expression: string(rule.Expression), Message: rule.Message})
	}
	return a
}

func prefixed(from *v1alpha1.ClaimOrExpression) apiserver.PrefixedClaimOrExpression {
	if from == nil {
		return apiserver.PrefixedClaimOrExpression{}
	}
	p := apiserver.PrefixedClaimOrExpression{Claim: string(from.Claim), Expression: string(from.Expression)}
	if p.Claim != "" {
		p.Prefix = new(string)
	}
	return p
}
