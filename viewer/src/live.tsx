export const Live = (_: any) => null;
