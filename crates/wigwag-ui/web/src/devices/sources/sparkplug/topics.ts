/** Where edge nodes of Sparkplug B and their devices speak. Apart from what reads it, which is loaded when one does. */
export const NAMESPACE = 'spBv1.0';
export const MEMBER_FILTERS = [
  'NBIRTH/+',
  'NDATA/+',
  'NDEATH/+',
  'DBIRTH/+/+',
  'DDATA/+/+',
  'DDEATH/+/+',
].map((rest) => `${NAMESPACE}/+/${rest}`);
