// Which pixel CImg picks when Meta's command-line tools shrink an image to 512x512, beside the rule that
// make_pdq_vectors.py and `PdqForm::Reference512` follow: floor(i * side / 512), for 1.3 million places.
//
//   apt-get install cimg-dev g++
//   g++ -O2 check_reference512_pixels.cpp -o check -lpthread && ./check
//
// With CImg 3.2.1: "1333248 places, 0 differ".
#define cimg_display 0
#include <CImg.h>
#include <cstdio>

using cimg_library::CImg;

int main() {
  long places = 0, differ = 0;
  for (int side = 1; side <= 5000; side += side < 1200 ? 1 : 37) {
    CImg<unsigned short> wide(side, 700), high(700, side);
    cimg_forXY(wide, x, y) wide(x, y) = x;
    cimg_forXY(high, x, y) high(x, y) = y;
    wide.resize(512, 512);
    high.resize(512, 512);
    for (long i = 0; i < 512; i++) {
      differ += wide(i, 9) != i * side / 512;
      differ += high(9, i) != i * side / 512;
      places += 2;
    }
  }
  std::printf("%ld places, %ld differ\n", places, differ);
  return differ > 0;
}
