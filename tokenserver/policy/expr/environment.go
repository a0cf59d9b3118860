package expr

import (
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Names of the variables.
const (
	varSubject  = "subject"
	varResource = "resource"
	varAction   = "action"
	varAudience = "audience"
	varRequest  = "request"
)

// environments are what an expression is read with.
type environments struct {
	// plain has no macros: these copy and nest what they are given before anything can be counted.
	plain, full *cel.Env
}

// celEnvironments are the same for every expression and take milliseconds to make, so they are made once, when the
// first expression needs them.
var celEnvironments = sync.OnceValues(newEnvironments)

func newEnvironments() (environments, error) {
	full, err := newEnvironment()
	if err != nil {
		return environments{}, err
	}
	plain, err := full.Extend(cel.ClearMacros())
	if err != nil {
		return environments{}, fmt.Errorf("making the CEL environment: %w", err)
	}
	return environments{plain: plain, full: full}, nil
}

// newEnvironment pins the version of Kubernetes whose libraries are on: what an expression means must not change with
// the cluster that it runs in.
func newEnvironment() (*cel.Env, error) {
	subject, resource, request := subjectType(), resourceType(), requestType()
	set, err := environment.MustBaseEnvSet(version.MajorMinor(1, 37)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions: []cel.EnvOption{
			cel.Variable(varSubject, subject.CelType()),
			cel.Variable(varResource, resource.CelType()),
			cel.Variable(varAction, cel.StringType),
			cel.Variable(varAudience, cel.StringType),
			cel.Variable(varRequest, request.CelType()),
		},
		DeclTypes: []*apiservercel.DeclType{subject, resource, request},
	})
	if err != nil {
		return nil, fmt.Errorf("making the CEL environment: %w", err)
	}
	return set.NewExpressionsEnv(), nil
}

// The types are objects, not maps, so that a misspelt field is found when the expression is compiled.
func subjectType() *apiservercel.DeclType {
	texts := apiservercel.NewListType(apiservercel.StringType, -1)
	return object("tokenwright.Subject", map[string]*apiservercel.DeclType{
		"username":       apiservercel.StringType,
		"uid":            apiservercel.StringType,
		"groups":         texts,
		"namespace":      apiservercel.StringType,
		"serviceAccount": apiservercel.StringType,
		"extra":          apiservercel.NewMapType(apiservercel.StringType, texts, -1),
		"provider":       apiservercel.StringType,
		"method":         apiservercel.StringType,
	})
}

func resourceType() *apiservercel.DeclType {
	return object("tokenwright.Resource", map[string]*apiservercel.DeclType{
		"type":      apiservercel.StringType,
		"namespace": apiservercel.StringType,
		"name":      apiservercel.StringType,
	})
}

func requestType() *apiservercel.DeclType {
	return object("tokenwright.Request", map[string]*apiservercel.DeclType{
		"ip":       apiservercel.StringType,
		"clientID": apiservercel.StringType,
		"time":     apiservercel.TimestampType,
		"claims":   apiservercel.NewMapType(apiservercel.StringType, apiservercel.DynType, -1),
	})
}

func object(name string, fields map[string]*apiservercel.DeclType) *apiservercel.DeclType {
	declared := make(map[string]*apiservercel.DeclField, len(fields))
	for field, t := range fields {
		declared[field] = apiservercel.NewDeclField(field, t, true, nil, nil)
	}
	return apiservercel.NewObjectType(name, declared)
}
