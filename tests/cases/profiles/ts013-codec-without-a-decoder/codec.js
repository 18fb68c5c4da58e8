function decode(input) {
  return {data: {v: 1}};
}
