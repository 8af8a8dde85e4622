export function PipelineDraft() { return null; }
