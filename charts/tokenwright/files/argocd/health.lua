-- Health of every kind of tokenwright.dev for Argo CD; docs/argocd.md says where to put it.
--
-- The status has the shape that kstatus reads: Ready says whether the object does what its spec says, Stalled=True that a
-- person has to help, and Ready=False alone that work is in progress. A status that speaks of an older spec says nothing.
local health = {status = "Progressing", message = "Waiting for the manager"}

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "Being deleted"
  return health
end

-- A request waits for a person, and nothing is wrong with it: while nobody has decided, and when what was decided is about a
-- resource that is not the same any more.
if obj.kind == "PermissionRequest" then
  health = {status = "Suspended", message = "Waits for the owner of the resource"}
end

-- Records of tokens and revocations say what is so, and wait for nobody.
if obj.kind == "IssuedToken" or obj.kind == "TokenRevocation" then
  return {status = "Healthy", message = "In force"}
end

local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end

for _, condition in ipairs(status.conditions) do
  if condition.type == "Stalled" and condition.status == "True" then
    return {status = "Degraded", message = condition.message}
  end
  if condition.type == "Ready" then
    health.message = condition.message
    if condition.status == "True" then
      health.status = "Healthy"
    end
  end
end
return health
