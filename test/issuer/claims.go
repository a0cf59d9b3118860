package issuer

import "maps"

// GitHub returns claims as GitHub Actions makes them for a job of octo-org/octo-repo on its main branch, with more laid
// over them (docs.github.com, "OpenID Connect reference").
func (i *Issuer) GitHub(more map[string]any) map[string]any {
	claims := i.claims("repo:octo-org/octo-repo:ref:refs/heads/main", map[string]any{
		"ref": "refs/heads/main", "sha": "5d1b1b7e6f1a4a1d9d0c2b3a4f5e6d7c8b9a0f1e", "repository": "octo-org/octo-repo",
		"repository_owner": "octo-org", "actor_id": "12", "repository_visibility": "private", "repository_id": "74",
		"repository_owner_id": "65", "run_id": "30433642", "run_number": "10", "run_attempt": "2", "runner_environment": "github-hosted",
		"actor": "octocat", "workflow": "release", "head_ref": "", "base_ref": "", "event_name": "push", "ref_protected": "true",
		"ref_type": "branch", "workflow_ref": "octo-org/octo-repo/.github/workflows/release.yml@refs/heads/main",
		"job_workflow_ref": "octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main",
	})
	maps.Copy(claims, more)
	return claims
}

// GitLab returns claims as GitLab makes them for a job of my-group/my-project (docs.gitlab.com, "ID token payload").
func (i *Issuer) GitLab(more map[string]any) map[string]any {
	claims := i.claims("project_path:my-group/my-project:ref_type:branch:ref:feature-branch-1", map[string]any{
		"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
		"user_id": "1", "user_login": "sample-user", "user_email": "sample-user@example.com", "user_access_level": "developer",
		"user_identities": []any{map[string]any{"provider": "github", "extern_uid": "2435223452345"}},
		"pipeline_id":     "574", "pipeline_source": "push", "job_id": "302", "ref": "feature-branch-1", "ref_type": "branch",
		"ref_path": "refs/heads/feature-branch-1", "ref_protected": "false", "groups_direct": []any{"my-group", "tools/ci"},
		"environment": "test", "environment_protected": "false", "deployment_tier": "testing", "runner_id": 1,
		"runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "project_visibility": "public",
	})
	maps.Copy(claims, more)
	return claims
}
