export function PipelineScreen() { return null; }
