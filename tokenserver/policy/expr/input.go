package expr

import (
	"errors"
	"net/netip"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"github.com/tokenwright/tokenwright/tokenserver/caller"
)

// Facts are what an expression can know.
type Facts struct {
	Caller                                        caller.Caller
	ResourceType, ResourceNamespace, ResourceName string
	Audience                                      string
	SourceIP                                      netip.Addr
	ClientID                                      string
	Time                                          time.Time
	Claims                                        map[string]any
}

// Input is what expressions read. Make one per request: its values are shared by all that are evaluated with it.
type Input struct {
	// Action is the action that is asked about. It may be changed between evaluations, not during one.
	Action string

	variables map[string]any
}

// errDetails is what an expression gets that asks for a detail of the caller that nobody knows.
var errDetails = errors.New("the caller came with a token of this server: its uid and extra are not known")

// NewInput returns the variables with the facts as values. What is not known is empty, except the time and details of the
// caller: an expression that asks for those when they are not known fails.
func NewInput(f Facts) *Input {
	namespace, serviceAccount := f.Caller.ServiceAccount()
	groups, extra, claims, ip := f.Caller.Groups, f.Caller.Extra, f.Claims, ""
	if groups == nil {
		groups = []string{}
	}
	if extra == nil {
		extra = map[string][]string{}
	}
	if claims == nil {
		claims = map[string]any{}
	}
	if f.SourceIP.IsValid() {
		ip = f.SourceIP.Unmap().String()
	}
	request := map[string]any{"ip": ip, "clientID": f.ClientID, "claims": claims}
	if !f.Time.IsZero() {
		request["time"] = f.Time
	}
	subject := map[string]any{
		"username":       f.Caller.Username,
		"uid":            f.Caller.UID,
		"groups":         groups,
		"namespace":      namespace,
		"serviceAccount": serviceAccount,
		"extra":          extra,
		"provider":       f.Caller.Provider,
		"method":         string(f.Caller.Method),
	}
	if f.Caller.DetailsUnknown {
		// Not absent: has(subject.extra) would be false, and what is denied by it would be escaped.
		subject["uid"], subject["extra"] = types.WrapErr(errDetails), types.WrapErr(errDetails)
	}
	return &Input{variables: map[string]any{
		varSubject: subject,
		varResource: map[string]any{
			"type":      f.ResourceType,
			"namespace": f.ResourceNamespace,
			"name":      f.ResourceName,
		},
		varAudience: f.Audience,
		varRequest:  request,
	}}
}

// ResolveName implements cel-go's Activation.
func (in *Input) ResolveName(name string) (any, bool) {
	if name == varAction {
		return in.Action, true
	}
	value, found := in.variables[name]
	return value, found
}

// Parent implements cel-go's Activation.
func (in *Input) Parent() interpreter.Activation { return nil }
