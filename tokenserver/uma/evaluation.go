package uma

import (
	"net/http"
	"strconv"

	"github.com/tokenwright/tokenwright/tokenserver/grant"
	"github.com/tokenwright/tokenwright/tokenserver/httpx"
)

// Paths and names of the decision point (AuthZEN, Authorization API 1.0).
const (
	PathEvaluation  = "/access/v1/evaluation"
	PathEvaluations = "/access/v1/evaluations"
	// PathAuthZEN is where its metadata is.
	PathAuthZEN     = "/.well-known/authzen-configuration"
	NameAuthZEN     = "authzen_metadata"
	nameEvaluation  = "authzen_evaluation"
	nameEvaluations = "authzen_evaluations"
)

const (
	// maxEvaluations is how many questions come at once.
	maxEvaluations = 256
	// maxAsked is how long what a question names may be, in bytes, and maxRequestID how long the id is that a client gives it.
	maxAsked     = 512
	maxRequestID = 128
)

// evaluation is one question. Properties and context mean nothing: nobody vouches for them.
type evaluation struct {
	Subject  *entity `json:"subject"`
	Resource *entity `json:"resource"`
	Action   *struct {
		Name string `json:"name"`
	} `json:"action"`
}

type entity struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// evaluations are many, which may have parts in common.
type evaluations struct {
	evaluation
	Evaluations []evaluation `json:"evaluations"`
	Options     struct {
		Semantic string `json:"evaluations_semantic"`
	} `json:"options"`
}

type decided struct {
	Decision bool `json:"decision"`
}

// question is the evaluation, if it says all that it must.
func (e *evaluation) question() (grant.Question, error) {
	var q grant.Question
	switch {
	case e.Subject == nil || e.Subject.Type == "" || e.Subject.ID == "":
		return q, httpx.BadRequest("subject must have type and id")
	case e.Resource == nil || e.Resource.Type == "" || e.Resource.ID == "":
		return q, httpx.BadRequest("resource must have type and id")
	case e.Action == nil || e.Action.Name == "":
		return q, httpx.BadRequest("action must have a name")
	}
	q = grant.Question{
		SubjectType: e.Subject.Type, Subject: e.Subject.ID, Type: e.Resource.Type, Resource: e.Resource.ID, Action: e.Action.Name,
	}
	for _, text := range []string{q.SubjectType, q.Subject, q.Type, q.Resource, q.Action} {
		if len(text) > maxAsked {
			return q, httpx.BadRequest("what a question names must have at most " + strconv.Itoa(maxAsked) + " bytes")
		}
	}
	return q, nil
}

// within fills in what all questions have in common.
func (e evaluation) within(common evaluation) evaluation {
	if e.Subject == nil {
		e.Subject = common.Subject
	}
	if e.Resource == nil {
		e.Resource = common.Resource
	}
	if e.Action == nil {
		e.Action = common.Action
	}
	return e
}

// evaluate has the form of httpx.Endpoint's Handle: one question.
func (s *Server) evaluate(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	echo(w, r)
	p, err := s.pat(r, x, nameEvaluation)
	if err != nil {
		return err
	}
	var one evaluation
	if err := readJSON(w, r, &one); err != nil {
		return err
	}
	return s.answerOne(w, p, &one)
}

func (s *Server) answerOne(w http.ResponseWriter, p *session, one *evaluation) error {
	q, err := one.question()
	if err != nil {
		return err
	}
	answers, failure := s.Granter.Evaluate(p.from, &p.Session, p.request, []grant.Question{q}, func(bool) bool { return true })
	if failure != nil {
		return s.translate(failure)
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, decided{answers[0]})
	return nil
}

// evaluateAll has the form of httpx.Endpoint's Handle: many questions. Without any, what they would have in common is one.
func (s *Server) evaluateAll(w http.ResponseWriter, r *http.Request, x *httpx.Exchange) error {
	echo(w, r)
	p, err := s.pat(r, x, nameEvaluations)
	if err != nil {
		return err
	}
	var all evaluations
	if err := readJSON(w, r, &all); err != nil {
		return err
	}
	switch {
	case len(all.Evaluations) == 0:
		return s.answerOne(w, p, &all.evaluation)
	case len(all.Evaluations) > maxEvaluations:
		return httpx.BadRequest("there must be at most " + strconv.Itoa(maxEvaluations) + " evaluations")
	}
	var enough func(bool) bool
	switch all.Options.Semantic {
	case "", "execute_all":
		enough = func(bool) bool { return false }
	case "deny_on_first_deny":
		enough = func(answer bool) bool { return !answer }
	case "permit_on_first_permit":
		enough = func(answer bool) bool { return answer }
	default:
		return httpx.BadRequest("options.evaluations_semantic must be execute_all, deny_on_first_deny or permit_on_first_permit")
	}
	questions := make([]grant.Question, len(all.Evaluations))
	for n := range all.Evaluations {
		one := all.Evaluations[n].within(all.evaluation)
		if questions[n], err = one.question(); err != nil {
			return err
		}
	}
	answers, failure := s.Granter.Evaluate(p.from, &p.Session, p.request, questions, enough)
	if failure != nil {
		return s.translate(failure)
	}
	list := make([]decided, len(answers))
	for n, answer := range answers {
		list[n] = decided{answer}
	}
	noStore(w.Header())
	httpx.WriteJSON(w, http.StatusOK, map[string]any{"evaluations": list})
	return nil
}

// echo returns the id that the client gave the request, as the specification wants it. Log and audit log go by our own.
func echo(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if id == "" || len(id) > maxRequestID {
		return
	}
	for n := range len(id) {
		if id[n] <= ' ' || id[n] > '~' {
			return
		}
	}
	w.Header().Set("X-Request-Id", id)
}

// DecisionPoint is the metadata of the decision point; issuer is the server's.
func (s *Server) DecisionPoint(issuer string) func(http.ResponseWriter, *http.Request, *httpx.Exchange) error {
	document := map[string]string{
		"policy_decision_point": issuer, "access_evaluation_endpoint": s.Base + PathEvaluation, "access_evaluations_endpoint": s.Base + PathEvaluations,
	}
	return func(w http.ResponseWriter, _ *http.Request, _ *httpx.Exchange) error {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		httpx.WriteJSON(w, http.StatusOK, document)
		return nil
	}
}

func (s *Server) evaluationRoutes() []Route {
	post := []string{http.MethodPost}
	return []Route{
		{Path: PathEvaluation, Name: nameEvaluation, Methods: post, Handle: s.evaluate},
		{Path: PathEvaluations, Name: nameEvaluations, Methods: post, Handle: s.evaluateAll},
	}
}
