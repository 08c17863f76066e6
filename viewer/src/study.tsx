export const Study = (_: any) => null;
